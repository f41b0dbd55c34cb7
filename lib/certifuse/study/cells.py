"""Cells: all that a study trains and certifies, one type for each kind.

`names()` are the names under which files, tables, manifests and wildcards know a cell, and `of` reads them back. In
Python the weight of the individual losses is `lam`, since `lambda` is a word of the language; elsewhere it is `lambda`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

BASELINE = "baseline"
"""In the place of the fusion rule, of what is trained and scored without one."""
FINETUNED = "finetuned"
"""Likewise, of the experts that are trained on the fusion images and not fused."""
JOINT = "joint"
"""The training of a cell of the grid, among the trainings of a study."""
SINGLE = "single"
"""The member of an (architecture, seed) that is trained on all training images."""
WIDER = "single_wider"
"""Likewise, with the size of `baselines.wider_single`."""


class Cell(NamedTuple):
    """One training of the fused network."""

    architecture: str
    fusion: str
    lam: str
    seed: int

    def names(self) -> dict[str, Any]:
        """Architecture, fusion, lambda, seed."""
        return {"architecture": self.architecture, "fusion": self.fusion, "lambda": self.lam, "seed": self.seed}

    @classmethod
    def of(cls, names: Mapping[str, Any]) -> Self:
        """The cell of these names. ValueError where lambda is no number."""
        lam = str(names["lambda"])
        float(lam)
        return cls(names["architecture"], names["fusion"], lam, int(names["seed"]))


class Family(NamedTuple):
    """All cells of one architecture and seed, which share experts and baselines."""

    architecture: str
    seed: int

    def names(self) -> dict[str, Any]:
        """Architecture and seed."""
        return self._asdict()

    @classmethod
    def of(cls, names: Mapping[str, Any]) -> Self:
        """The family of these names."""
        return cls(names["architecture"], int(names["seed"]))


class Member(NamedTuple):
    """One network of a family: an expert, or a model that is trained on all training images."""

    architecture: str
    seed: int
    member: str

    def names(self) -> dict[str, Any]:
        """Architecture, seed, member."""
        return self._asdict()

    @classmethod
    def of(cls, names: Mapping[str, Any]) -> Self:
        """The member of these names."""
        return cls(names["architecture"], int(names["seed"]), names["member"])


class Finetuned(NamedTuple):
    """The experts of a family, trained on the fusion images beside each other: the control of every cell."""

    architecture: str
    seed: int

    @property
    def fusion(self) -> str:
        """The word in the place of a fusion rule."""
        return FINETUNED

    @property
    def lam(self) -> str:
        """The word in the place of lambda."""
        return "none"

    def names(self) -> dict[str, Any]:
        """The names of a cell."""
        return Cell(self.architecture, self.fusion, self.lam, self.seed).names()

    @classmethod
    def of(cls, names: Mapping[str, Any]) -> Self:
        """The control of these names."""
        return cls(names["architecture"], int(names["seed"]))


class SubspaceCell(NamedTuple):
    """One training in a subspace; each number of levels gives a certificate of its own."""

    architecture: str
    fusion: str
    lam: str
    seed: int
    d: int

    @property
    def cell(self) -> Cell:
        """The cell of the grid with the same names."""
        return Cell(*self[:4])

    def names(self) -> dict[str, Any]:
        """The names of the cell, and d."""
        return self.cell.names() | {"d": self.d}

    @classmethod
    def of(cls, names: Mapping[str, Any]) -> Self:
        """The training of these names."""
        return cls(*Cell.of(names), int(names["d"]))


class SubloraCell(NamedTuple):
    """One training of a language model: d numbers, in an allocation mode, from a seed."""

    d: int
    mode: str
    seed: int

    def names(self) -> dict[str, Any]:
        """d, mode, seed."""
        return self._asdict()

    @classmethod
    def of(cls, names: Mapping[str, Any]) -> Self:
        """The training of these names."""
        return cls(int(names["d"]), names["mode"], int(names["seed"]))
