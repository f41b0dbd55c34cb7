"""The tables of the certificates, and which of their rows stand in one panel of a figure.

A row of `certificates` is one certificate. Its kind is `prior` (the pre-trained experts, averaged: 0 bits), `subspace`
(trained in d dimensions, quantised and coded) or `joint` (the ordinary jointly trained model). A prior has neither
fusion nor lambda: it is that of every rule of its architecture, seed and split scheme.
"""

from dataclasses import dataclass

import pandas as pd

from certifuse.reporting.cells import CELL, CELL_TYPES, architectures_of, compared_cells
from certifuse.reporting.drawing import NothingToShowError
from certifuse.reporting.frames import Schema, rows_with

PRIOR, SUBSPACE, JOINT = KINDS = ("prior", "subspace", "joint")
IDENTITY = [*CELL, "kind", "d", "levels"]
HELD_OUT = {
    "held_out_examples": "Int64",
    "held_out_errors": "Int64",
    "held_out_percent": "float64",
    "held_out_bound_percent": "float64",
}
_IDENTITY = CELL_TYPES | {"kind": "str", "d": "int64", "levels": "int64"}
_SAMPLE = {
    **{"scheme": "str", "examples": "int64", "errors": "int64"},
    **dict.fromkeys(("prior_errors", "worse", "better"), "Int64"),
    **dict.fromkeys(("code_bits", "delta", "risk_percent", "bound_percent"), "float64"),
    "inequality": "str",
}
_TEST = {"test_examples": "Int64", "test_errors": "Int64", "test_percent": "float64"}


def _true_certificates(rows: pd.DataFrame) -> dict[str, "pd.Series[bool]"]:
    trained, prior = rows["kind"] == SUBSPACE, rows["kind"] == PRIOR
    counted = (rows["prior_errors"] + rows["worse"] - rows["better"] == rows["errors"]).fillna(False).astype(bool)
    return {
        f"kind to be one of {', '.join(KINDS)}": rows["kind"].isin(KINDS),
        "one row per certificate": ~rows.duplicated([*IDENTITY, "scheme"]),
        "errors between 0 and examples": (rows["errors"] >= 0) & (rows["errors"] <= rows["examples"]),
        "risk_percent to be 100 errors / examples": (
            (rows["risk_percent"] * rows["examples"] - 100 * rows["errors"]).abs() <= 0.01 * rows["examples"]
        ),
        "delta strictly between 0 and 1": (rows["delta"] > 0) & (rows["delta"] < 1),
        "bound_percent between risk_percent and 100": (
            (rows["bound_percent"] >= rows["risk_percent"] - 0.01) & (rows["bound_percent"] <= 100)
        ),
        "code_bits >= 0, and 0 of a prior": (rows["code_bits"] >= 0) & (~prior | (rows["code_bits"] == 0)),
        "d >= 1 of a subspace": ~trained | (rows["d"] >= 1),
        "prior_errors + worse - better = errors of a subspace": ~trained | counted,
    }


SCHEMAS = {
    "certificates": Schema(
        _IDENTITY | _SAMPLE | HELD_OUT | _TEST,
        holding=_true_certificates,
        identity=("kind", "d", "levels"),
        optional=HELD_OUT,
    ),
    "missing": Schema(_IDENTITY | {"reason": "str"}),
    "ledgers": Schema(_IDENTITY | {"charge": "str", "bits": "float64"}),
}


# ---- panels --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Panel:
    """One architecture and fusion rule of one split scheme, at the lambda where rules are compared.

    `trained` are its certificates of all seeds at this lambda, `of_rule` those at every lambda, and `priors` those of
    its family. `title` tells it from the others: architecture, split scheme where there are several, and rule.
    """

    architecture: str
    fusion: str
    lam: str
    title: str
    priors: pd.DataFrame
    of_rule: pd.DataFrame
    trained: pd.DataFrame


def families_of(certificates: pd.DataFrame) -> list[tuple[str, str]]:
    """Every (scheme, architecture), schemes as they come, architectures in the library's order."""
    return [
        (scheme, architecture)
        for scheme in certificates["scheme"].unique()
        for architecture in architectures_of(rows_with(certificates, scheme=scheme))
    ]


def panels_of(certificates: pd.DataFrame) -> list[Panel]:
    """A panel for each scheme, architecture and fusion rule that has a trained certificate."""
    panels = []
    for scheme, architecture in families_of(certificates):
        family = rows_with(certificates, scheme=scheme, architecture=architecture)
        priors, trained = (rows_with(family, kind=kind) for kind in (PRIOR, SUBSPACE))
        for fusion, lam in compared_cells(trained, architecture).items():
            title, of_rule = family_title(certificates, scheme, architecture), rows_with(trained, fusion=fusion)
            at_lam = rows_with(of_rule, lam=lam)
            panels.append(Panel(architecture, fusion, lam, f"{title}, {fusion}", priors, of_rule, at_lam))
    return panels


def shown_panels(certificates: pd.DataFrame) -> tuple[list[Panel], pd.DataFrame, pd.DataFrame]:
    """All panels, and the trained certificates and the priors that they show.

    Raises:
        NothingToShowError: there is no panel.
    """
    panels = panels_of(certificates)
    if not panels:
        raise NothingToShowError("no trained subspace has a certificate yet")
    return panels, pd.concat([panel.trained for panel in panels]), pd.concat([panel.priors for panel in panels])


def family_title(certificates: pd.DataFrame, scheme: str, architecture: str) -> str:
    """The architecture, with the split scheme of the experts where a file has several."""
    return architecture if certificates["scheme"].nunique() < 2 else f"{architecture}, {scheme}"
