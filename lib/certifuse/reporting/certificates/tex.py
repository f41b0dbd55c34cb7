"""The certificate tables as LaTeX: which numbers are shown, with how many digits, and what the captions say."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from certifuse.reporting.certificates.frames import JOINT, PRIOR, SUBSPACE
from certifuse.reporting.certificates.tables import NO_LEDGER, QUOTED, Row
from certifuse.reporting.latex import TableRow, longtable

MODELS = {PRIOR: "prior", JOINT: "joint", SUBSPACE: "subspace"}
BEST_MARK = " *"
COLUMNS = (
    *(("architecture", "l"), ("fusion", "l"), ("λ", "r"), ("seed", "r"), ("model", "l"), ("d", "r"), ("L", "r")),
    *(("n", "r"), ("error (%)", "r"), ("K (bits)", "r"), ("certified (%)", "r"), ("inequality", "l")),
    *(("held out (%)", "r"), ("test (%)", "r")),
)
LEDGER_COLUMNS = (
    *(("architecture", "l"), ("fusion", "l"), ("λ", "r"), ("seed", "r"), ("d", "r"), ("L", "r")),
    *(("charge", "l"), ("bits", "r"), ("share (%)", "r")),
)
SCHEME = ("scheme", "l")


def certificates_tex(rows: Sequence[Row], study: str) -> str:
    """Every certificate; the best of the study is marked, and the last lines say what quoting it costs."""
    shown = [row for row in rows if row["kind"] != QUOTED]
    scheme = _several_schemes(shown)
    lines: list[TableRow] = []
    for _, members in groupby(shown, key=lambda row: (row["scheme"], row["architecture"], row["fusion"])):
        for number, row in enumerate(members):
            lines.append(TableRow(_with_scheme(row, _cells(row), scheme), space_above=bool(lines) and number == 0))
    for row in rows:
        if row["kind"] == QUOTED:
            remarks = _quoting(row, shown)
            lines += [TableRow((), remark, space_above=number == 0) for number, remark in enumerate(remarks)]
    columns = (SCHEME, *COLUMNS) if scheme else COLUMNS
    return longtable("certificates", _caption(shown, study), columns, lines)


def ledger_tex(rows: Sequence[Row], study: str) -> str:
    """What the bits of each rule's best certificate are spent on."""
    scheme = _several_schemes(rows)
    lines: list[TableRow] = []
    for _, members in groupby(rows, key=lambda row: (row["scheme"], row["architecture"], row["fusion"])):
        for number, row in enumerate(members):
            names = _with_scheme(row, _certificate(row), scheme)
            names = names if number == 0 else ("",) * len(names)
            space = bool(lines) and number == 0
            if row["charge"] == NO_LEDGER:
                lines.append(TableRow(names, f"missing: {NO_LEDGER}", space))
            else:
                spent = (row["charge"].replace("_", " "), f"{row['bits']:,.1f}", f"{row['share_percent']:.1f}")
                lines.append(TableRow((*names, *spent), space_above=space))
    caption = (
        f"Study {study}. What the bits K of the trained certificate with the lowest certified error are spent on, for "
        "each architecture and fusion rule. d: dimension of the subspace. L: quantisation levels."
    )
    columns = (SCHEME, *LEDGER_COLUMNS) if scheme else LEDGER_COLUMNS
    return longtable("certificate_ledger", caption, columns, lines)


def _cells(row: Row) -> tuple[str, ...]:
    mark = BEST_MARK if row["best"] else ""
    prior = row["kind"] == PRIOR
    return (
        *(row["architecture"], row["fusion"], row["lambda"], str(row["seed"]), MODELS[row["kind"]]),
        *(f"{row['d']:,}", "" if prior else str(row["levels"]), f"{row['examples']:,}", f"{row['risk_percent']:.2f}"),
        *(f"{row['code_bits']:,.0f}", f"{row['bound_percent']:.2f}{mark}", row["inequality"].replace("_", " ")),
        *(_percent(row["held_out_bound_percent"]), _percent(row["test_percent"])),
    )


def _certificate(row: Row) -> tuple[str, ...]:
    names = (row["architecture"], row["fusion"], row["lambda"], str(row["seed"]))
    return (*names, f"{row['d']:,}", str(row["levels"]))


def _quoting(row: Row, shown: Iterable[Row]) -> list[str]:
    """What choosing the best costs, and what its own prior is certified for without training."""
    candidates = row["candidates"]
    (best,) = [one for one in shown if one["best"]]
    cost = [
        "* lowest certified error of a trained model. To be quoted as the best of the study, that is of "
        f"M = {candidates} priors (architecture, fusion, seed),",
        f"it needs its bound at delta / M = {row['delta']:.3g}: {row['bound_percent']:.2f} instead of "
        f"{best['bound_percent']:.2f}, by {row['inequality'].replace('_', ' ')}.",
    ]
    family = [row[name] for name in ("scheme", "architecture", "seed")]
    zero_bit = [
        one["bound_percent"]
        for one in shown
        if one["kind"] == PRIOR and [one[name] for name in ("scheme", "architecture", "seed")] == family
    ]
    return [*cost, *(f"The 0-bit certified error of its own prior is {percent:.2f}." for percent in zero_bit)]


def _caption(rows: Sequence[Row], study: str) -> str:
    deltas = " or ".join(f"{delta:g}" for delta in sorted({row["delta"] for row in rows}))
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


def _several_schemes(rows: Iterable[Row]) -> bool:
    return len({row["scheme"] for row in rows}) > 1


def _with_scheme(row: Row, cells: tuple[str, ...], scheme: bool) -> tuple[str, ...]:
    return (row["scheme"], *cells) if scheme else cells


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
