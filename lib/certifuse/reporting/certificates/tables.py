"""The numbers of the certificate tables: every certificate, what its bits are spent on, and where training pays."""

from typing import Any

import pandas as pd

from certifuse.base.errors import UserError
from certifuse.reporting.certificates.choice import best_first, count_priors, crossings, quoted
from certifuse.reporting.certificates.frames import IDENTITY, JOINT, PRIOR, SUBSPACE, families_of, family_rows
from certifuse.reporting.frames import fusions_of

Row = dict[str, Any]

QUOTED = "quoted"
"""The kind of the last row: the best trained certificate again, at the confidence that choosing it leaves."""

NAMES = ("scheme", "architecture", "fusion", "lambda", "seed", "kind", "d", "levels")
SHOWN = (
    *("examples", "errors", "risk_percent", "code_bits", "delta", "bound_percent", "inequality"),
    *("held_out_examples", "held_out_bound_percent", "test_examples", "test_percent"),
)
CROSSED = ("scheme", "architecture", "fusion", "seed")
COLUMNS = {
    "certificates": (*NAMES, *SHOWN, "best", "candidates"),
    "certificate_ledger": (*NAMES, "charge", "bits", "share_percent"),
    "crossings": (
        *CROSSED,
        *("crossing_d", "lambda", "d", "levels"),
        *("bound_percent", "zero_bit_percent", "margin_points", "reason"),
    ),
}
NONE = "none"
NO_PRIOR = "the prior of this architecture, seed and scheme has no certificate"
NO_LEDGER = "no ledger"
TOTAL = "total"
MOST_BITS_APART = 1e-3


def certificate_rows(certificates: pd.DataFrame) -> list[Row]:
    """One row per certificate and the quoted best last; of an architecture the priors, then each rule's models."""
    trained = certificates[certificates["kind"] == SUBSPACE]
    best = best_first(trained).head(1)
    rows: list[Row] = []
    for scheme, architecture in families_of(certificates):
        rows += _shown(family_rows(certificates, PRIOR, scheme, architecture), best)
        joint, subspace = (family_rows(certificates, kind, scheme, architecture) for kind in (JOINT, SUBSPACE))
        for fusion in fusions_of(pd.concat([joint, subspace])):
            rows += _shown(joint[joint["fusion"] == fusion], best)
            rows += _shown(subspace[subspace["fusion"] == fusion], best)
    return rows + _quoted(best, count_priors(trained))


def ledger_rows(certificates: pd.DataFrame, ledgers: pd.DataFrame) -> list[Row]:
    """What the bits of the best trained certificate of each architecture and rule are spent on, and their total.

    Raises:
        UserError: the charges of a certificate do not add up to its code length.
    """
    rows: list[Row] = []
    for scheme, architecture in families_of(certificates):
        trained = family_rows(certificates, SUBSPACE, scheme, architecture)
        for fusion in fusions_of(trained):
            best = best_first(trained[trained["fusion"] == fusion]).iloc[0]
            charges = ledgers[(ledgers[IDENTITY] == best[IDENTITY]).all(axis=1)]
            rows += _spent({name: best[name] for name in NAMES}, charges, float(best["code_bits"]))
    return rows


def crossing_rows(certificates: pd.DataFrame) -> list[Row]:
    """One row per family: the smallest d that is certified below the 0-bit bound, or "none" and how near one comes."""
    return [
        {
            **{name: getattr(found, name) for name in CROSSED},
            "crossing_d": "" if found.margin_points is None else found.row["d"] if found.crosses else NONE,
            **{name: found.row[name] for name in ("lambda", "d", "levels", "bound_percent")},
            "zero_bit_percent": found.zero_bit_percent,
            "margin_points": found.margin_points,
            "reason": NO_PRIOR if found.margin_points is None else "",
        }
        for found in crossings(certificates)
    ]


def _spent(names: Row, charges: pd.DataFrame, code_bits: float) -> list[Row]:
    """A row per charge and their total; one that says so where there is no ledger."""
    if charges.empty:
        return [{**names, "charge": NO_LEDGER}]
    if abs(charges["bits"].sum() - code_bits) > MOST_BITS_APART:
        raise UserError(
            f"ledger of {', '.join(f'{key} {value}' for key, value in names.items())}: expected charges of "
            f"{code_bits:.6g} bits together, found {charges['bits'].sum():.6g}: gather certificates and ledgers again"
        )
    spent = [*zip(charges["charge"], charges["bits"], strict=True), (TOTAL, code_bits)]
    return [{**names, "charge": name, "bits": bits, "share_percent": 100 * bits / code_bits} for name, bits in spent]


def _quoted(best: pd.DataFrame, candidates: int) -> list[Row]:
    """The best row again, with its bound at delta / `candidates`; none where nothing was trained."""
    rows = []
    for source, shown in zip(best.to_dict("records"), _shown(best, best), strict=True):
        inequality, percent = quoted(source, candidates)
        bound = {"delta": source["delta"] / candidates, "bound_percent": percent, "inequality": inequality}
        rows.append({**shown, "kind": QUOTED, **bound, "best": 0, "candidates": candidates})
    return rows


def _shown(rows: pd.DataFrame, best: pd.DataFrame) -> list[Row]:
    """The columns of the table, absent measurements as None; `best` is 1 for the best of the study."""
    ordered = _ordered(rows)
    kept = ordered[[*NAMES, *SHOWN]].astype(object)
    marked = kept.where(kept.notna(), None).assign(best=[int(index in best.index) for index in ordered.index])
    records: list[Row] = marked.to_dict("records")
    return records


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Lambdas ascending, then dimensions, levels and seeds; rules and architectures stay where they are."""
    lams = rows["lambda"].map(lambda lam: float(lam or 0))
    return rows.assign(_lam=lams).sort_values(["_lam", "d", "levels", "seed"], kind="stable")
