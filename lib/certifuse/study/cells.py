"""What a study trains: the names of its cells, one type for each kind."""

from dataclasses import dataclass
from typing import Any, NamedTuple

BASELINE = "baseline"
"""In the place of the fusion rule, of what is trained and scored without one."""
FINETUNED = "finetuned"
"""Likewise, of the experts that are trained on the fusion images and not fused."""


class Cell(NamedTuple):
    """One training of the fused network."""

    architecture: str
    fusion: str
    lam: str
    seed: int


@dataclass(frozen=True)
class CertifiedCell:
    """Which cell a certificate belongs to."""

    architecture: str
    fusion: str
    lam: str
    seed: int

    def identity(self) -> dict[str, str | int]:
        """The names of the cell."""
        return {"architecture": self.architecture, "fusion": self.fusion, "lambda": self.lam, "seed": self.seed}


CELL = ("d", "mode", "seed")


@dataclass(frozen=True)
class CellName:
    """Which cell is trained. `fusion` is None for the control, whose `lam` is then "none"."""

    architecture: str
    fusion: str | None
    lam: str
    seed: int

    def fields(self) -> dict[str, Any]:
        """For path templates and labels."""
        return {
            "architecture": self.architecture,
            "fusion": self.fusion or FINETUNED,
            "lam": self.lam,
            "seed": self.seed,
        }


class SubspaceCell(NamedTuple):
    """One training in a subspace; each number of levels gives a certificate of its own."""

    architecture: str
    fusion: str
    lam: str
    seed: int
    dim: int

    @property
    def cell(self) -> Cell:
        """The cell of the grid with the same names."""
        return Cell(*self[:4])


class SubloraCell(NamedTuple):
    """One training: d numbers, in an allocation mode, from a seed."""

    d: int
    mode: str
    seed: int
