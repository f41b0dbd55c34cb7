"""The SubLoRA tables as LaTeX: which numbers are shown, with how many digits, and what the captions say."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from certifuse.reporting.latex import TableRow, longtable
from certifuse.reporting.sublora.choice import HEADLINE
from certifuse.reporting.sublora.contrasts import METRICS
from certifuse.reporting.sublora.frames import NGRAM
from certifuse.reporting.sublora.modes import mode_label
from certifuse.reporting.sublora.tables import NO_LEDGER, Row
from certifuse.reporting.sublora.terms import TERMS
from certifuse.reporting.sublora.text import interval, mean_text, p_value, signed

REASON_CHARACTERS = 80
VACUOUS_MARK, COMPARED_MARK = " *", " +"
SUMMARY = (
    *(("budget d", "r"), ("mode", "l"), ("ratio", "r"), ("L", "r"), ("seeds", "r"), ("BPD", "r"), ("held out", "r")),
    *(("KL (nats)", "r"), ("bound, published", "r"), ("bound, ours", "r"), ("size (KB)", "r"), ("top-1 bound", "r")),
)
LEDGER = (
    *(("budget d", "r"), ("mode", "l"), ("seed", "r"), ("L", "r")),
    *(("charge", "l"), ("bits", "r"), ("share (%)", "r")),
)
TERMS_COLUMNS = (("budget d", "r"), ("mode", "l"), ("L", "r"), ("seeds", "r"))
CONTRASTS = (
    *(("budget d", "r"), ("L", "r"), ("mode", "l"), ("minus", "l"), ("seeds", "r")),
    *(("difference", "r"), ("interval", "r"), ("p", "r"), ("p (Holm)", "r")),
)
IN_TEXT = (HEADLINE, "validation_bpd")
"""The metrics whose contrasts LaTeX shows; the CSV file has all."""


def summary_tex(rows: Sequence[Row], study: str, confidence: float) -> str:
    """Every configuration."""
    sizes = {(row["documents"], row["subsample"], row["vacuous_bpd"]) for row in rows if row["seeds"]}
    sample = "; ".join(f"m = {m:,} documents, n = {n:,} drawn, log2 V = {line:.4g}" for m, n, line in sorted(sizes))
    caption = (
        f"Study {study}. Every configuration: means over seeds, [{100 * confidence:g}% t interval] where there are "
        "two. BPD: empirical risk of the decoded, smoothed model, bits per token. Held out: validation loss. KL: "
        "K ln 2. Size: K / 8,000 KB. Ratio: share of the budget for B that was set. A mean of bounds certifies "
        f"nothing: each certificate is of one model. {sample}.{VACUOUS_MARK}: at or above log2 V in at least one seed."
        f"{COMPARED_MARK}: where modes are compared."
    )
    lines: list[TableRow] = []
    for _, members in groupby(rows, key=lambda row: (row["model"], row["budget"])):
        lines += [_summary_row(row, bool(lines) and rank == 0) for rank, row in enumerate(members)]
    return longtable("sublora_summary", caption, SUMMARY, lines)


def ledger_tex(rows: Sequence[Row], study: str) -> str:
    """What the bits of the best certificate of every budget and mode are spent on."""
    caption = f"Study {study}. What the K bits of the certificate with the lowest bound of each budget and mode buy."
    lines: list[TableRow] = []
    for _, members in groupby(rows, key=lambda row: (row["model"], row["budget"], row["mode"])):
        for rank, row in enumerate(members):
            names = (_budget(row), _mode(row), _whole(row["seed"]), _whole(row["levels"])) if rank == 0 else ("",) * 4
            space = bool(lines) and rank == 0
            if row["charge"] == NO_LEDGER:
                lines.append(TableRow(names, f"missing: {NO_LEDGER}", space))
            else:
                spent = (str(row["charge"]).replace("_", " "), f"{row['bits']:,.1f}", f"{row['share_percent']:.1f}")
                lines.append(TableRow((*names, *spent), space_above=space))
    return longtable("sublora_ledger", caption, LEDGER, lines)


def terms_tex(rows: Sequence[Row], study: str) -> str:
    """One line per configuration: every term by the published inequality and by ours."""
    names = sorted({name.replace("_", " ") for row in rows for name in row["inequality"].split()})
    caption = (
        f"Study {study}. The terms of the published bound and of ours on the same bitstreams, bits per token, means "
        f"over seeds: published / ours ({', '.join(names)}). Each has the smoothing at which it is smallest."
    )
    shown = [term for term in TERMS if any(row["term"] == term and round(_largest(row), 3) for row in rows)]
    lines: list[TableRow] = []
    last: Any = None
    for key, members in groupby(rows, key=lambda row: (row["budget"], row["mode"], row["levels"])):
        by_term = {row["term"]: row for row in members}
        pairs = [f"{by_term[term]['published_bpd']:.3f} / {by_term[term]['ours_bpd']:.3f}" for term in shown]
        bound = by_term["bound"]
        cells = (_budget(bound), _mode(bound), _whole(bound["levels"]), str(bound["seeds"]), *pairs)
        shrank = f"{signed(-bound['shrank_bpd'])} ({signed(-bound['shrank_percent'], 1)}%)"
        lines.append(TableRow((*cells, shrank), space_above=bool(lines) and key[0] != last))
        last = key[0]
    columns = (*TERMS_COLUMNS, *((term, "r") for term in shown), ("bound shrank by", "r"))
    return longtable("sublora_terms", caption, columns, lines)


def _largest(row: Row) -> float:
    return float(max(abs(row["published_bpd"]), abs(row["ours_bpd"])))


def contrasts_tex(rows: Sequence[Row], study: str, confidence: float) -> str:
    """The paired contrasts of our bound and of the held-out loss, a part of the table each."""
    caption = (
        f"Study {study}. Differences paired by seed: mean, {100 * confidence:g}% t interval, Student's two-sided test, "
        "and its p-value by Holm's method over all contrasts of the same kind (baselines or nulls) and metric. "
        "Negative: the mode is better."
    )
    lines: list[TableRow] = []
    shown = [row for row in rows if row["metric"] in IN_TEXT]
    for (metric, family), members in groupby(shown, key=lambda row: (row["metric"], row["family"])):
        lines.append(TableRow((), f"{METRICS[metric]}, {family}", space_above=bool(lines)))
        lines += [_contrast_row(row) for row in members]
    return longtable("sublora_contrasts", caption, CONTRASTS, lines)


def _summary_row(row: Row, space: bool) -> TableRow:
    ratio = "" if row.get("ratio") is None else f"{row['ratio']:.2f}"
    levels = _whole(row["levels"]) + (COMPARED_MARK if row["compared"] else "")
    names = (_budget(row), _mode(row), ratio, levels)
    if not row["seeds"]:
        return TableRow((*names, "0"), f"missing: {row['reason'][:REASON_CHARACTERS]}", space)
    asked = row["seeds"] + row["missing_seeds"]
    seeds = f"{row['seeds']} of {asked}" if row["missing_seeds"] else str(row["seeds"])
    vacuous = VACUOUS_MARK if row["vacuous_seeds"] else ""
    measured = (
        *(_mean(row, "bpd"), _mean(row, "validation_bpd"), f"{row['kl_nats']:,.0f}", _mean(row, "bound_published_bpd")),
        *(_mean(row, "bound_bpd") + vacuous, f"{row['size_kb']:.3f}"),
        "" if row["top1_bound"] is None else f"{row['top1_bound']:.3f}",
    )
    return TableRow((*names, seeds, *measured), space_above=space)


def _contrast_row(row: Row) -> TableRow:
    names = (_budget(row), _whole(row["levels"]), mode_label(row["mode"]), mode_label(row["baseline"]))
    if not row["seeds"]:
        return TableRow((*names, "0"), "missing: no seed has both")
    tests = (p_value(row["p_value"]), p_value(row["p_holm"]))
    return TableRow((*names, str(row["seeds"]), signed(row["difference"]), interval(row["low"], row["high"]), *tests))


def _mean(row: Row, name: str) -> str:
    return mean_text(row[name], row.get(f"{name}_low"), row.get(f"{name}_high"))


def _mode(row: Row) -> str:
    return f"{row['mode']} table" if row.get("model") == NGRAM else mode_label(row["mode"])


def _budget(row: Row) -> str:
    return _whole(row["budget"])


def _whole(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
