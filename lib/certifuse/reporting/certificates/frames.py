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
    "ledgers": Schema(_IDENTITY | {"charge": "str", "bits": "float64"}),
}


# ---- panels --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """One architecture and fusion rule of one split scheme, at the lambda where rules are compared."""

    scheme: str
    architecture: str
    fusion: str
    lam: str

    def rows(self, certificates: pd.DataFrame, kind: str) -> pd.DataFrame:
        """Its rows of one kind, all seeds; of its family for a prior."""
        of_rule = {} if kind == PRIOR else {"fusion": self.fusion, "lam": self.lam}
        return rows_with(certificates, kind=kind, scheme=self.scheme, architecture=self.architecture, **of_rule)

    def title(self, certificates: pd.DataFrame) -> str:
        """The title that tells it from the others: architecture, split scheme where there are several, and rule."""
        return f"{family_title(certificates, self.scheme, self.architecture)}, {self.fusion}"


def families_of(certificates: pd.DataFrame) -> list[tuple[str, str]]:
    """Every (scheme, architecture), schemes as they come, architectures in the library's order."""
    return [
        (scheme, architecture)
        for scheme in certificates["scheme"].unique()
        for architecture in architectures_of(rows_with(certificates, scheme=scheme))
    ]


def panels_of(certificates: pd.DataFrame) -> list[Panel]:
    """A panel for each scheme, architecture and fusion rule that has a trained certificate."""
    return [
        Panel(scheme, architecture, fusion, lam)
        for scheme, architecture in families_of(certificates)
        for fusion, lam in compared_cells(rows_with(certificates, kind=SUBSPACE, scheme=scheme), architecture).items()
    ]


def shown_rows(certificates: pd.DataFrame, panels: list[Panel]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trained certificates and the priors of all panels.

    Raises:
        NothingToShowError: there is no panel.
    """
    if not panels:
        raise NothingToShowError("no trained subspace has a certificate yet")
    trained, priors = (pd.concat([panel.rows(certificates, kind) for panel in panels]) for kind in (SUBSPACE, PRIOR))
    return trained, priors


def family_title(certificates: pd.DataFrame, scheme: str, architecture: str) -> str:
    """The architecture, with the split scheme of the experts where a file has several."""
    return architecture if certificates["scheme"].nunique() < 2 else f"{architecture}, {scheme}"
