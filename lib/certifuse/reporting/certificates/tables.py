"""The tables of the certificates: every one of them, what its bits are spent on, and where training pays."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import pandas as pd

from certifuse.reporting.cells import fusions_of
from certifuse.reporting.certificates.choice import best_first, count_priors, crossings, quoted
from certifuse.reporting.certificates.frames import IDENTITY, JOINT, PRIOR, SUBSPACE, families_of, family_rows
from certifuse.reporting.frames import Frames
from certifuse.reporting.latex import TableRow, longtable, spaced, spent_lines
from certifuse.reporting.notes import deltas_text
from certifuse.reporting.tables import Row, Table, spent_rows
from certifuse.reporting.text import mean_text

QUOTED = "quoted"
"""The kind of the last row: the best trained certificate again, at the confidence that choosing it leaves."""

NAMES = ("scheme", "architecture", "fusion", "lambda", "seed", "kind", "d", "levels")
RULE = ("scheme", "architecture", "fusion")
SHOWN = (
    *("examples", "errors", "risk_percent", "code_bits", "delta", "bound_percent", "inequality"),
    *("held_out_examples", "held_out_bound_percent", "test_examples", "test_percent"),
)
CROSSED = (*RULE, "seed")
AT_CROSSING = ("lambda", "d", "levels", "bound_percent")
COLUMNS = {
    "certificates": (*NAMES, *SHOWN, "best", "candidates"),
    "certificate_ledger": (*NAMES, "charge", "bits", "share_percent"),
    "crossings": (*CROSSED, "crossing_d", *AT_CROSSING, "zero_bit_percent", "margin_points", "reason"),
}
NONE = "none"
NO_PRIOR = "the prior of this architecture, seed and scheme has no certificate"
BEST_MARK = " *"
MODEL = (("architecture", "l"), ("fusion", "l"), ("λ", "r"), ("seed", "r"))
CODE = (("d", "r"), ("L", "r"))
MEASURED = (
    *(("n", "r"), ("error (%)", "r"), ("K (bits)", "r"), ("certified (%)", "r"), ("inequality", "l")),
    *(("held out (%)", "r"), ("test (%)", "r")),
)
SPENT = (("charge", "l"), ("bits", "r"), ("share (%)", "r"))


def certificate_tables(frames: Frames, study: str) -> list[Table]:
    """Every table of the certificates."""
    certificates = certificate_rows(frames.certificates)
    ledger = ledger_rows(frames.certificates, frames.ledgers)
    made = {
        "certificates": (certificates, certificates_tex(certificates, study)),
        "certificate_ledger": (ledger, ledger_tex(ledger, study)),
        "crossings": (crossing_rows(frames.certificates), None),
    }
    return [Table(name, COLUMNS[name], rows, tex) for name, (rows, tex) in made.items()]


# ---- rows ----------------------------------------------------------------------------------------


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
    """The charges of the best trained certificate of each architecture and rule, in bits, and their total.

    Raises:
        UserError: the charges of a certificate do not add up to its code length.
    """
    rows: list[Row] = []
    for scheme, architecture in families_of(certificates):
        trained = family_rows(certificates, SUBSPACE, scheme, architecture)
        for fusion in fusions_of(trained):
            best = best_first(trained[trained["fusion"] == fusion]).iloc[0]
            charges = ledgers[(ledgers[IDENTITY] == best[IDENTITY]).all(axis=1)]
            rows += spent_rows({name: best[name] for name in NAMES}, charges, float(best["code_bits"]))
    return rows


def crossing_rows(certificates: pd.DataFrame) -> list[Row]:
    """One row per family: the smallest d that is certified below the 0-bit bound, or "none" and how near one comes."""
    return [
        {
            **{name: getattr(found, name) for name in CROSSED},
            "crossing_d": "" if found.margin_points is None else found.row["d"] if found.crosses else NONE,
            **{name: found.row[name] for name in AT_CROSSING},
            "zero_bit_percent": found.zero_bit_percent,
            "margin_points": found.margin_points,
            "reason": NO_PRIOR if found.margin_points is None else "",
        }
        for found in crossings(certificates)
    ]


def _quoted(best: pd.DataFrame, candidates: int) -> list[Row]:
    """The best row again, with its bound at delta / `candidates`; none where nothing was trained."""
    rows = []
    for source, shown in zip(best.to_dict("records"), _shown(best, best), strict=True):
        inequality, percent = quoted(source, candidates)
        bound = {"delta": source["delta"] / candidates, "bound_percent": percent, "inequality": inequality}
        rows.append({**shown, "kind": QUOTED, **bound, "best": 0, "candidates": candidates})
    return rows


def _shown(rows: pd.DataFrame, best: pd.DataFrame) -> list[Row]:
    """The columns of the table, absent measurements as None; `best` is 1 for the best of the study.

    Lambdas ascending, then dimensions, levels and seeds.
    """
    lams = rows["lambda"].map(lambda lam: float(lam or 0))
    ordered = rows.assign(_lam=lams).sort_values(["_lam", "d", "levels", "seed"], kind="stable")
    kept = ordered[[*NAMES, *SHOWN]].astype(object)
    marked = kept.where(kept.notna(), None).assign(best=[int(index in best.index) for index in ordered.index])
    records: list[Row] = marked.to_dict("records")
    return records


# ---- LaTeX ---------------------------------------------------------------------------------------


def certificates_tex(rows: Sequence[Row], study: str) -> str:
    """Every certificate; the best of the study is marked, and the last lines say what quoting it costs."""
    shown = [row for row in rows if row["kind"] != QUOTED]
    schemes = _schemes(shown)
    lines = [(_of(row, RULE), TableRow((*_of(row, schemes), *_cells(row)))) for row in shown]
    quotes = [_quoting(row, shown) for row in rows if row["kind"] == QUOTED]
    lines += [((QUOTED,), TableRow((), remark)) for remarks in quotes for remark in remarks]
    columns = (*_columns(schemes), ("model", "l"), *CODE, *MEASURED)
    return longtable("certificates", _caption(shown, study), columns, spaced(lines))


def ledger_tex(rows: Sequence[Row], study: str) -> str:
    """The charges of each rule's best certificate, in bits."""
    schemes = _schemes(rows)
    ledgers = []
    for _, members in groupby(rows, key=lambda row: _of(row, RULE)):
        charges = list(members)
        ledgers.append(((*_of(charges[0], schemes), *_names(charges[0]), *_code(charges[0])), charges))
    caption = (
        f"Study {study}. What the bits K of the trained certificate with the lowest certified error are spent on, for "
        "each architecture and fusion rule. d: dimension of the subspace. L: quantisation levels."
    )
    return longtable("certificate_ledger", caption, (*_columns(schemes), *CODE, *SPENT), spent_lines(ledgers))


def _cells(row: Row) -> tuple[str, ...]:
    mark = BEST_MARK if row["best"] else ""
    return (
        *(*_names(row), row["kind"], *_code(row), f"{row['examples']:,}", f"{row['risk_percent']:.2f}"),
        *(f"{row['code_bits']:,.0f}", f"{row['bound_percent']:.2f}{mark}", row["inequality"].replace("_", " ")),
        *(mean_text(row[name], digits=2) for name in ("held_out_bound_percent", "test_percent")),
    )


def _names(row: Row) -> tuple[str, ...]:
    return row["architecture"], row["fusion"], row["lambda"], str(row["seed"])


def _code(row: Row) -> tuple[str, str]:
    return f"{row['d']:,}", "" if row["kind"] == PRIOR else str(row["levels"])


def _of(row: Row, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(row[name] for name in names)


def _schemes(rows: Iterable[Row]) -> tuple[str, ...]:
    """The column of the split scheme, where there are several."""
    return ("scheme",) if len({row["scheme"] for row in rows}) > 1 else ()


def _columns(schemes: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return (*((name, "l") for name in schemes), *MODEL)


def _quoting(row: Row, shown: Iterable[Row]) -> list[str]:
    """The price of having chosen the best, and the certified error of its own prior without training."""
    (best,) = [one for one in shown if one["best"]]
    cost = [
        "* lowest certified error of a trained model. To be quoted as the best of the study, that is of "
        f"M = {row['candidates']} priors (architecture, fusion, seed),",
        f"it needs its bound at delta / M = {row['delta']:.3g}: {row['bound_percent']:.2f} instead of "
        f"{best['bound_percent']:.2f}, by {row['inequality'].replace('_', ' ')}.",
    ]
    family = ("scheme", "architecture", "seed")
    priors = [one for one in shown if one["kind"] == PRIOR and _of(one, family) == _of(row, family)]
    return [*cost, *(f"The 0-bit certified error of its own prior is {one['bound_percent']:.2f}." for one in priors)]


def _caption(rows: Sequence[Row], study: str) -> str:
    deltas = deltas_text(row["delta"] for row in rows)
    held_out = any(row["held_out_bound_percent"] is not None for row in rows)
    kept = "" if held_out else " The study keeps no held-out set."
    holds = f" Each certificate holds by itself with probability 1 - delta, delta = {deltas}." if deltas else ""
    return (
        f"Study {study}. Every certificate.{holds} Prior: the pre-trained experts, averaged, which cost no bits. "
        "Subspace: trained in d dimensions, quantised to L levels and coded. Joint: the ordinary jointly trained "
        "network, certified as its coded copy, held out and tested as it is. Error: on the n images of the certificate "
        "sample. K: length of the code. Held out: Clopper-Pearson bound on images that nothing was trained or selected "
        f"on.{kept} Test: error on the test images, not used."
    )
