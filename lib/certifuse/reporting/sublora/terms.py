"""The shrinkage of each term of the bound from the published inequality to ours, on the same bitstreams."""

from collections.abc import Sequence
from itertools import groupby

import pandas as pd

from certifuse.reporting.frames import records, rows_with
from certifuse.reporting.latex import TableRow, longtable
from certifuse.reporting.sublora.choice import HEADLINE
from certifuse.reporting.sublora.frames import SUBLORA
from certifuse.reporting.sublora.modes import mode_label, modes_in_order
from certifuse.reporting.tables import Row
from certifuse.reporting.text import signed, whole

PUBLISHED = "published"
TERMS = {
    "risk": "risk_bpd",
    "subsampling": "subsampling_bpd",
    "complexity": "complexity_bpd",
    "choice of inequality": "choice_bpd",
    "bound": "headline_bpd",
}
"""Parts of a bound, in bits per token, and their sum. An inequality that was named beforehand is no choice."""

CERTIFICATE = ["d", "mode", "seed", "levels"]
COLUMNS = (
    *("budget", "mode", "levels", "inequality", "seeds", "term"),
    *("published_bpd", "ours_bpd", "shrank_bpd", "shrank_percent"),
)
HEADERS = (("budget d", "r"), ("mode", "l"), ("L", "r"), ("seeds", "r"))


def terms_rows(metrics: pd.DataFrame, terms: pd.DataFrame) -> list[Row]:
    """One row per configuration and term: means over the seeds whose two bounds both have their terms.

    Our terms are those of the inequality that gave our bound. What our bound exceeds it by is the price of having
    chosen it, 0 where it was named before the sample was seen.
    """
    trained = rows_with(metrics, model=SUBLORA)[[*CERTIFICATE, "inequality", HEADLINE]]
    theirs = rows_with(terms, inequality=PUBLISHED).assign(choice_bpd=0.0, headline_bpd=lambda rows: rows["bound_bpd"])
    ours = terms.merge(trained, on=[*CERTIFICATE, "inequality"])
    ours = ours.assign(choice_bpd=ours[HEADLINE] - ours["bound_bpd"], headline_bpd=ours[HEADLINE])
    columns = [*CERTIFICATE, "inequality", *TERMS.values()]
    both = theirs[columns].merge(ours[columns], on=CERTIFICATE, suffixes=("_theirs", "_ours"))
    order = {mode: place for place, mode in enumerate(modes_in_order(both["mode"]))}
    rows = []
    for _, found in both.assign(_mode=both["mode"].map(order)).groupby(["d", "_mode", "levels"], dropna=False):
        first = records(found)[0]
        names = {"budget": first["d"], "mode": first["mode"], "levels": first["levels"], "seeds": len(found)}
        names["inequality"] = " ".join(sorted(set(found["inequality_ours"])))
        for term, column in TERMS.items():
            published, our = (float(found[f"{column}_{side}"].mean()) for side in ("theirs", "ours"))
            shrank = published - our
            share = 100 * shrank / published if published else None
            values = {"published_bpd": published, "ours_bpd": our, "shrank_bpd": shrank, "shrank_percent": share}
            rows.append(names | {"term": term} | values)
    return rows


def terms_tex(rows: Sequence[Row], study: str) -> str:
    """One line per configuration: every term by the published inequality and by ours."""
    names = sorted({name.replace("_", " ") for row in rows for name in row["inequality"].split()})
    caption = (
        f"Study {study}. The terms of the published bound and of ours on the same bitstreams, bits per token, means "
        f"over seeds: published / ours ({', '.join(names)}). Each has the smoothing at which it is smallest."
    )
    seen = {row["term"] for row in rows if round(max(abs(row["published_bpd"]), abs(row["ours_bpd"])), 3)}
    shown = [term for term in TERMS if term in seen]
    lines = []
    for (budget, mode, levels), members in groupby(rows, key=lambda row: (row["budget"], row["mode"], row["levels"])):
        by_term = {row["term"]: row for row in members}
        pairs = [f"{by_term[term]['published_bpd']:.3f} / {by_term[term]['ours_bpd']:.3f}" for term in shown]
        bound = by_term["bound"]
        shrank = f"{signed(-bound['shrank_bpd'])} ({signed(-bound['shrank_percent'], 1)}%)"
        cells = (whole(budget), mode_label(mode), whole(levels), str(bound["seeds"]), *pairs, shrank)
        lines.append(TableRow(cells, group=budget))
    columns = (*HEADERS, *((term, "r") for term in shown), ("bound shrank by", "r"))
    return longtable("sublora_terms", caption, columns, lines)
