"""The tables of the certificates, and which of their rows stand in one panel of a figure.

A row of `certificates` is one certificate. Its kind is `prior` (the pre-trained experts, averaged: 0 bits), `subspace`
(trained in d dimensions, quantised and coded) or `joint` (the ordinary jointly trained model). A prior has neither
fusion nor lambda: it is that of every rule of its architecture, seed and split scheme.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from certifuse.reporting import frames
from certifuse.reporting.cells import CELL, CELL_TYPES, architectures_of, compared_cells, fusions_of
from certifuse.reporting.frames import Frames, Schema

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
    "scheme": "str",
    "examples": "int64",
    "errors": "int64",
    "prior_errors": "Int64",
    "worse": "Int64",
    "better": "Int64",
    "code_bits": "float64",
    "delta": "float64",
    "risk_percent": "float64",
    "bound_percent": "float64",
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


def read_frames(files: Mapping[str, Path]) -> Frames:
    """Read files by the names of `SCHEMAS`."""
    return frames.read_frames(files, SCHEMAS)


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
        chosen = family_rows(certificates, kind, self.scheme, self.architecture)
        if kind == PRIOR:
            return chosen
        return chosen[(chosen["fusion"] == self.fusion) & (chosen["lambda"] == self.lam)]


def family_rows(certificates: pd.DataFrame, kind: str, scheme: str, architecture: str) -> pd.DataFrame:
    """The rows of one kind, scheme and architecture."""
    chosen = (certificates["kind"] == kind) & (certificates["scheme"] == scheme)
    return certificates[chosen & (certificates["architecture"] == architecture)]


def families_of(certificates: pd.DataFrame) -> list[tuple[str, str]]:
    """Every (scheme, architecture), schemes as they come, architectures in the library's order."""
    return [
        (scheme, architecture)
        for scheme in certificates["scheme"].unique()
        for architecture in architectures_of(certificates[certificates["scheme"] == scheme])
    ]


def panels_of(certificates: pd.DataFrame) -> list[Panel]:
    """A panel for each scheme, architecture and fusion rule that has a trained certificate."""
    panels = []
    for scheme, architecture in families_of(certificates):
        rows = family_rows(certificates, SUBSPACE, scheme, architecture)
        lams = compared_cells(rows, architecture)
        panels += [Panel(scheme, architecture, fusion, lams[fusion]) for fusion in fusions_of(rows)]
    return panels


def family_title(certificates: pd.DataFrame, scheme: str, architecture: str) -> str:
    """The architecture, with the split scheme of the experts where a file has several."""
    return architecture if certificates["scheme"].nunique() < 2 else f"{architecture}, {scheme}"


def panel_title(certificates: pd.DataFrame, panel: Panel) -> str:
    """The title that tells the panel from the others: architecture, split scheme where there are several, and rule."""
    return f"{family_title(certificates, panel.scheme, panel.architecture)}, {panel.fusion}"
