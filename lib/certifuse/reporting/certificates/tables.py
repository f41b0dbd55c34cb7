"""The tables of the certificates: every one of them, what its bits are spent on, and where training pays."""

from collections.abc import Iterable, Sequence

import pandas as pd

from certifuse.reporting.cells import fusions_of
from certifuse.reporting.certificates.choice import FAMILY, best_first, count_priors, crossings, quoted
from certifuse.reporting.certificates.frames import IDENTITY, JOINT, PRIOR, SUBSPACE, families_of, panels_of
from certifuse.reporting.frames import Frames, records, rows_with
from certifuse.reporting.latex import TableRow, longtable
from certifuse.reporting.ledgers import SPENT, ledger_table, spent_rows
from certifuse.reporting.tables import Row, Table
from certifuse.reporting.text import bound_text, deltas_text, mean_text

QUOTED = "quoted"
"""The kind of the last row: the best trained certificate again, at the confidence that choosing it leaves."""

NAMES = ("scheme", "architecture", "fusion", "lambda", "seed", "kind", "d", "levels")
RULE = ("scheme", "architecture", "fusion")
SHOWN = (
    *("examples", "errors", "risk_percent", "code_bits", "delta", "bound_percent", "inequality"),
    *("held_out_examples", "held_out_bound_percent", "test_examples", "test_percent"),
)
AT_CROSSING = ("lambda", "d", "levels", "bound_percent")
COLUMNS = {
    "certificates": (*NAMES, *SHOWN, "best", "candidates"),
    "certificate_ledger": (*NAMES, *SPENT),
    "crossings": (*FAMILY, "crossing_d", *AT_CROSSING, "zero_bit_percent", "margin_points", "reason"),
}
NONE = "none"
NO_PRIOR = "the prior of this architecture, seed and scheme has no certificate"
BEST_MARK, VACUOUS_MARK = " *", " (vacuous)"
MODEL = {
    **{name: (name, "l") for name in ("architecture", "fusion")},
    **{"lambda": ("λ", "r"), "seed": ("seed", "r")},
}
CODE = (("d", "r"), ("L", "r"))
MEASURED = (
    *(("n", "r"), ("error (%)", "r"), ("K (bits)", "r"), ("certified (%)", "r"), ("inequality", "l")),
    *(("held out (%)", "r"), ("test (%)", "r")),
)


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
    """One row per certificate and the quoted best last; of an architecture the priors, then each rule's models.

    Absent measurements are None; `best` is 1 for the best of the study. The models of a rule are first the joint ones,
    then the trained; of either lambdas stand ascending, then dimensions, levels and seeds.
    """
    trained = rows_with(certificates, kind=SUBSPACE)
    best = best_first(trained).head(1)
    families, fusions = families_of(certificates), ["", *fusions_of(certificates[certificates["fusion"] != ""])]
    places = zip(certificates["scheme"], certificates["architecture"], strict=True)
    ordered = certificates.assign(
        best=certificates.index.isin(best.index).astype(int),
        _family=[families.index(place) for place in places],
        _fusion=certificates["fusion"].map(fusions.index),
        _kind=certificates["kind"].map((PRIOR, JOINT, SUBSPACE).index),
        _lam=certificates["lambda"].map(lambda lam: float(lam or 0)),
    ).sort_values(["_family", "_fusion", "_kind", "_lam", "d", "levels", "seed"])
    rows = records(ordered[[*NAMES, *SHOWN, "best"]])
    for row in records(best):
        candidates = count_priors(trained)
        inequality, percent = quoted(row, candidates)
        bound = {"delta": row["delta"] / candidates, "bound_percent": percent, "inequality": inequality}
        again = {name: row[name] for name in (*NAMES, *SHOWN)}
        rows.append(again | bound | {"kind": QUOTED, "best": 0, "candidates": candidates})
    return rows


def ledger_rows(certificates: pd.DataFrame, ledgers: pd.DataFrame) -> list[Row]:
    """The charges of the best trained certificate of each architecture and rule, in bits, and their total.

    Raises:
        UserError: the charges of a certificate do not add up to its code length.
    """
    rows: list[Row] = []
    for panel in panels_of(certificates):
        best = records(best_first(panel.of_rule))[0]
        charges = rows_with(ledgers, **{name: best[name] for name in IDENTITY})
        rows += spent_rows({name: best[name] for name in NAMES}, charges, best["code_bits"])
    return rows


def crossing_rows(certificates: pd.DataFrame) -> list[Row]:
    """One row per family: the smallest d that is certified below the 0-bit bound, or "none" and how near one comes."""
    rows = []
    for found in crossings(certificates):
        judged = found.margin_points is not None
        names = {name: found.row[name] for name in (*FAMILY, *AT_CROSSING)}
        crossing = {"crossing_d": (found.row["d"] if found.crosses else NONE) if judged else ""}
        margin = {"zero_bit_percent": found.zero_bit_percent, "margin_points": found.margin_points}
        rows.append(names | crossing | margin | {"reason": "" if judged else NO_PRIOR})
    return rows


# ---- LaTeX ---------------------------------------------------------------------------------------


def certificates_tex(rows: Sequence[Row], study: str) -> str:
    """Every certificate; the best of the study is marked, and the last lines say what quoting it costs."""
    shown = [row for row in rows if row["kind"] != QUOTED]
    model, lines = _model(shown), []
    for row in shown:
        code, risk = [*_code(row), f"{row['examples']:,}"], f"{row['risk_percent']:.2f}"
        bound = bound_text(row["bound_percent"], digits=2) + (VACUOUS_MARK if row["bound_percent"] >= 100 else "")
        bound += BEST_MARK if row["best"] else ""
        certified = (f"{row['code_bits']:,.0f}", bound, row["inequality"].replace("_", " "))
        unseen = bound_text(row["held_out_bound_percent"], digits=2), mean_text(row["test_percent"], digits=2)
        cells = (*(str(row[name]) for name in model), row["kind"], *code, risk, *certified, *unseen)
        lines.append(TableRow(cells, group=[row[name] for name in RULE]))
    quotes = [remark for row in rows if row["kind"] == QUOTED for remark in _quoting(row, shown)]
    lines += [TableRow((), remark, QUOTED) for remark in quotes]
    columns = (*model.values(), ("model", "l"), *CODE, *MEASURED)
    return longtable("certificates", _caption(shown, study), columns, lines)


def ledger_tex(rows: Sequence[Row], study: str) -> str:
    """The charges of each rule's best certificate, in bits."""
    caption = (
        f"Study {study}. What the bits K of the trained certificate with the lowest certified error are spent on, for "
        "each architecture and fusion rule. d: dimension of the subspace. L: quantisation levels."
    )
    model = _model(rows)
    columns = (*model.values(), *CODE)
    return ledger_table(
        "certificate_ledger", caption, columns, rows, lambda row: (*(str(row[name]) for name in model), *_code(row))
    )


def _model(rows: Iterable[Row]) -> dict[str, tuple[str, str]]:
    """The columns that name a model; that of the split scheme only where there are several."""
    return {"scheme": ("scheme", "l"), **MODEL} if len({row["scheme"] for row in rows}) > 1 else MODEL


def _code(row: Row) -> tuple[str, str]:
    return f"{row['d']:,}", "" if row["kind"] == PRIOR else str(row["levels"])


def _quoting(row: Row, shown: Iterable[Row]) -> list[str]:
    """The price of having chosen the best, and the certified error of its own prior without training."""
    (best,) = [one for one in shown if one["best"]]
    cost = [
        "* lowest certified error of a trained model. To be quoted as the best of the study, that is of "
        f"M = {row['candidates']} priors (architecture, fusion, seed),",
        f"it needs its bound at delta / M = {row['delta']:.3g}: {bound_text(row['bound_percent'], digits=2)} "
        f"instead of {bound_text(best['bound_percent'], digits=2)}, by {row['inequality'].replace('_', ' ')}.",
    ]
    family = {"kind": PRIOR} | {name: row[name] for name in ("scheme", "architecture", "seed")}
    priors = [one for one in shown if family.items() <= one.items()]
    return [
        *cost,
        *(
            f"The 0-bit certified error of its own prior is {bound_text(one['bound_percent'], digits=2)}."
            for one in priors
        ),
    ]


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
        f"on.{kept} Test: error on the test images, not used. Bounds are rounded up."
    )
