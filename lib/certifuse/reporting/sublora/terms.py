"""How much each term of the bound shrank from the published inequality to ours, on the same bitstreams."""

from typing import Any

import pandas as pd

from certifuse.reporting.sublora.choice import HEADLINE
from certifuse.reporting.sublora.frames import SUBLORA
from certifuse.reporting.sublora.modes import modes_in_order

Row = dict[str, Any]

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
    "budget",
    "mode",
    "levels",
    "inequality",
    "seeds",
    "term",
    "published_bpd",
    "ours_bpd",
    "shrank_bpd",
    "shrank_percent",
)


def terms_rows(metrics: pd.DataFrame, terms: pd.DataFrame) -> list[Row]:
    """One row per configuration and term: means over the seeds whose two bounds both have their terms.

    Our terms are those of the inequality that gave our bound. What our bound exceeds it by is the price of having
    chosen it, 0 where it was named before the sample was seen.
    """
    both = _both(metrics, terms)
    order = {mode: place for place, mode in enumerate(modes_in_order(both["mode"]))}
    both = both.assign(_mode=both["mode"].map(order))
    rows = []
    for _, found in both.groupby(["d", "_mode", "levels"], dropna=False):
        first = found.iloc[0]
        names = {"budget": None if pd.isna(first["d"]) else int(first["d"]), "mode": first["mode"]}
        names |= {"levels": int(first["levels"]), "seeds": len(found)}
        names |= {"inequality": " ".join(sorted(set(found["inequality_ours"])))}
        for term, column in TERMS.items():
            theirs, ours = (float(found[f"{column}_{side}"].mean()) for side in ("theirs", "ours"))
            shrank = {"shrank_bpd": theirs - ours, "shrank_percent": 100 * (theirs - ours) / theirs if theirs else None}
            rows.append(names | {"term": term, "published_bpd": theirs, "ours_bpd": ours} | shrank)
    return rows


def _both(metrics: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """One row per certificate with the terms of both bounds, suffixes `_theirs` and `_ours`."""
    trained = metrics.loc[metrics["model"] == SUBLORA, [*CERTIFICATE, "inequality", HEADLINE]]
    theirs = terms[terms["inequality"] == PUBLISHED].assign(choice_bpd=0.0, headline_bpd=lambda rows: rows["bound_bpd"])
    ours = terms.merge(trained, on=[*CERTIFICATE, "inequality"])
    ours = ours.assign(choice_bpd=ours[HEADLINE] - ours["bound_bpd"], headline_bpd=ours[HEADLINE])
    columns = [*CERTIFICATE, "inequality", *TERMS.values()]
    both: pd.DataFrame = theirs[columns].merge(ours[columns], on=CERTIFICATE, suffixes=("_theirs", "_ours"))
    return both
