"""The tables of the language models: every configuration, what its bits are spent on, and where the bound shrank."""

from collections.abc import Sequence
from itertools import groupby

import pandas as pd

from certifuse.reporting.estimates import estimate
from certifuse.reporting.frames import Frames, records, rows_with
from certifuse.reporting.latex import TableRow, longtable
from certifuse.reporting.ledgers import SPENT, ledger_table, spent_rows
from certifuse.reporting.sublora import contrasts, questions, terms
from certifuse.reporting.sublora.answers import answer_rows
from certifuse.reporting.sublora.choice import HEADLINE, best_first, compared_levels, with_size
from certifuse.reporting.sublora.frames import IDENTITY, NGRAM, SUBLORA, budgets_of, grid
from certifuse.reporting.sublora.modes import mode_label, modes_in_order
from certifuse.reporting.sublora.page import page_tex, sections
from certifuse.reporting.sublora.quoting import PAID, UNPAID, scored_text
from certifuse.reporting.tables import Row, Table
from certifuse.reporting.text import bound_text, mean_text, missing_text, seeds_text, whole

CONFIGURATION = ["model", "d", "mode", "levels"]
MEASURED = {
    "bpd": "risk_bpd",
    "validation_bpd": "validation_bpd",
    "kl_nats": "kl_nats",
    "code_bits": "code_bits",
    "size_kb": "size_kb",
    "bound_published_bpd": "bound_published_bpd",
    PAID: PAID,
    "bound_bpd": HEADLINE,
    "deviation_bpd": "deviation_bpd",
    "top1_risk": "top1_risk",
    "top1_bound": "top1_bound",
}
"""Columns of the table, and those of the metrics that they are means of."""
WITH_INTERVAL = {
    **{"bpd": mean_text, "validation_bpd": mean_text},
    **{"bound_published_bpd": bound_text, "bound_bpd": bound_text},
}
"""Columns with an interval, and how they are written."""
SAMPLE = ("documents", "subsample", "vacuous_bpd")
COLUMNS = {
    "summary_table": (
        *("model", "budget", "mode", "ratio", "levels", "compared", "seeds", "seed_list", "missing_seeds", "reason"),
        *(*SAMPLE, "vacuous_seeds", *MEASURED, *(f"{name}_{end}" for name in WITH_INTERVAL for end in ("low", "high"))),
    ),
    "ledger": ("model", "budget", "mode", "seed", "levels", *SPENT),
    "terms": terms.COLUMNS,
    "contrasts": contrasts.COLUMNS,
    "hypotheses": questions.COLUMNS,
}
VACUOUS_MARK, COMPARED_MARK = " *", " +"
SUMMARY = (
    *(("budget d", "r"), ("mode", "l"), ("ratio", "r"), ("L", "r"), ("seeds", "r"), ("BPD", "r"), ("held out", "r")),
    *(
        ("KL (nats)", "r"),
        ("bound, published", "r"),
        ("paid", "r"),
        ("bound, ours", "r"),
        ("size (KB)", "r"),
        ("top-1 bound", "r"),
    ),
)


def sublora_tables(frames: Frames, study: str, confidence: float) -> list[Table]:
    """Every table of the language models."""
    summary, ledger = summary_rows(frames, confidence), ledger_rows(frames)
    shrank = terms.terms_rows(frames.metrics, frames.terms)
    compared, tests = contrasts.contrasts(frames, confidence), questions.answers(frames, confidence)
    made = {
        "summary_table": (summary, summary_tex(summary, study, confidence)),
        "ledger": (ledger, ledger_tex(ledger, study)),
        "terms": (shrank, terms.terms_tex(shrank, study)),
        "contrasts": (compared, contrasts.contrasts_tex(compared, study, confidence)),
        "hypotheses": (answer_rows(tests, confidence), page_tex(sections(frames, study, confidence))),
    }
    return [Table(name, COLUMNS[name], rows, tex) for name, (rows, tex) in made.items()]


# ---- rows ----------------------------------------------------------------------------------------


def summary_rows(frames: Frames, confidence: float) -> list[Row]:
    """One row per configuration, means over its seeds; one without a certificate has its reason and no number."""
    compared = {d: compared_levels(frames.metrics, d) for d in budgets_of(frames)}
    metrics, rows = with_size(frames.metrics), []
    for configuration in configurations(frames):
        missing = rows_with(frames.missing, **configuration)
        names = _names(configuration) | {"levels": configuration["levels"]}
        of_model = names["model"] == SUBLORA and names["budget"] in compared
        names["compared"] = int(of_model and names["levels"] == compared[names["budget"]])
        lacking = {"missing_seeds": len(missing), "reason": "; ".join(missing["reason"].unique())}
        rows.append(names | _means(rows_with(metrics, **configuration), confidence) | lacking)
    return rows


def ledger_rows(frames: Frames) -> list[Row]:
    """The charges of the certificate with the lowest bound of every model, budget and mode, and their total.

    Raises:
        UserError: the charges of a certificate do not add up to its code length.
    """
    rows: list[Row] = []
    for names, _ in groupby(configurations(frames), key=lambda one: {n: one[n] for n in ("model", "d", "mode")}):
        for best in records(best_first(rows_with(frames.metrics, **names)).head(1)):
            charges = rows_with(frames.ledgers, **{name: best[name] for name in IDENTITY})
            certificate = _names(best) | {"seed": best["seed"], "levels": best["levels"]}
            rows += spent_rows(certificate, charges, best["code_bits"])
    return rows


def configurations(frames: Frames) -> list[Row]:
    """Every (model, d, mode, levels) that the study asked for: by budget, modes in order; n-gram tables last."""
    asked = grid(frames)[CONFIGURATION].drop_duplicates()
    order = {mode: place for place, mode in enumerate(modes_in_order(asked["mode"]))}
    keys = asked.assign(_ngram=asked["model"] == NGRAM, _mode=asked["mode"].map(order))
    return records(keys.sort_values(["_ngram", "d", "_mode", "levels"])[CONFIGURATION])


def _means(rows: pd.DataFrame, confidence: float) -> Row:
    if rows.empty:
        return {"seeds": 0}
    first, vacuous = records(rows)[0], rows[HEADLINE] >= rows["vacuous_bpd"]
    seeds = " ".join(str(seed) for seed in sorted(rows["seed"].dropna()))
    found: Row = {name: first[name] for name in ("ratio", *SAMPLE)}
    found |= {"seeds": len(rows), "seed_list": seeds, "vacuous_seeds": int(vacuous.sum())}
    for name, column in MEASURED.items():
        mean = estimate(rows[column], confidence)
        found[name] = None if mean is None else mean.mean
        if name in WITH_INTERVAL and mean is not None:
            found |= {f"{name}_low": mean.low, f"{name}_high": mean.high}
    return found


def _names(row: Row) -> Row:
    return {"model": row["model"], "budget": row["d"], "mode": row["mode"]}


# ---- LaTeX ---------------------------------------------------------------------------------------


def summary_tex(rows: Sequence[Row], study: str, confidence: float) -> str:
    """Every configuration."""
    sizes = dict.fromkeys(tuple(row[name] for name in SAMPLE) for row in rows if row["seeds"])
    sample = "; ".join(
        f"m = {m:,} documents, {scored_text(pd.Series([n]))}, log2 V = {line:.4g}" for m, n, line in sizes
    )
    drawn = any(n is not None for _, n, _ in sizes)
    unpaid = f" {UNPAID.capitalize()}; paid: where it does." if drawn else ""
    caption = (
        f"Study {study}. Every configuration: means over seeds, [{100 * confidence:g}% t interval] where there are "
        "two. BPD: empirical risk of the decoded, smoothed model, bits per token. Held out: validation loss. KL: "
        f"K ln 2.{unpaid} Size: K / 8,000 KB. Ratio: share of the budget for B that was set. A mean of bounds "
        f"certifies nothing: each certificate is of one model. {sample}.{VACUOUS_MARK}: at or above log2 V in at least "
        f"one seed.{COMPARED_MARK}: where modes are compared. Bounds are rounded up."
    )
    return longtable("sublora_summary", caption, SUMMARY, [_summary_line(row) for row in rows])


def ledger_tex(rows: Sequence[Row], study: str) -> str:
    """The charges of the best certificate of every budget and mode, in bits."""
    caption = f"Study {study}. What the K bits of the certificate with the lowest bound of each budget and mode buy."
    columns = (("budget d", "r"), ("mode", "l"), ("seed", "r"), ("L", "r"))
    return ledger_table("sublora_ledger", caption, columns, rows, _certificate)


def _summary_line(row: Row) -> TableRow:
    group = row["model"], row["budget"]
    levels = whole(row["levels"]) + (COMPARED_MARK if row["compared"] else "")
    names = (whole(row["budget"]), _mode(row), mean_text(row.get("ratio"), digits=2), levels)
    if not row["seeds"]:
        return TableRow((*names, "0"), missing_text(row["reason"]), group)
    bpd, held_out, published, ours = (
        text(row[name], row.get(f"{name}_low"), row.get(f"{name}_high")) for name, text in WITH_INTERVAL.items()
    )
    vacuous = VACUOUS_MARK if row["vacuous_seeds"] else ""
    seeds = seeds_text(row["seeds"], row["missing_seeds"])
    bounds = (f"{row['kl_nats']:,.0f}", published, bound_text(row[PAID]), ours + vacuous, f"{row['size_kb']:.3f}")
    return TableRow((*names, seeds, bpd, held_out, *bounds, bound_text(row["top1_bound"])), group=group)


def _certificate(row: Row) -> tuple[str, ...]:
    return whole(row["budget"]), _mode(row), whole(row["seed"]), whole(row["levels"])


def _mode(row: Row) -> str:
    return f"{row['mode']} table" if row["model"] == NGRAM else mode_label(row["mode"])
