"""Cells: all that a study trains and certifies, one type for each kind.

`names()` are the names under which files, tables, manifests and wildcards know a cell, and `of` reads them back. In
Python the weight of the individual losses is `lam`, since `lambda` is a word of the language; elsewhere it is `lambda`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

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


@dataclass(frozen=True, order=True)
class Named:
    """Whatever is known by its fields, each a word or a whole number."""

    def names(self) -> dict[str, Any]:
        """Its fields, under the names that are used outside Python."""
        return {_outside(field.name): getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, names: Mapping[str, Any]) -> Self:
        """The one of these names. KeyError where one is absent, ValueError where a number is none."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            value = names[_outside(field.name)]
            values[field.name] = int(value) if field.type is int else str(value)
        float(values.get("lam", 0))
        return cls(**values)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """In settings it stands by its names, and is read from them."""

        def read(value: Any) -> Named:
            try:
                return value if isinstance(value, cls) else cls.of(value)
            except (KeyError, TypeError, ValueError):
                raise ValueError(f"expected the names of a {cls.__name__}, found {value!r}") from None

        by_names = core_schema.plain_serializer_function_ser_schema(lambda cell: cell.names())
        return core_schema.no_info_plain_validator_function(read, serialization=by_names)

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, field.name) for field in fields(self))


def _outside(field: str) -> str:
    return "lambda" if field == "lam" else field


@dataclass(frozen=True, order=True)
class Cell(Named):
    """One training of the fused network."""

    architecture: str
    fusion: str
    lam: str
    seed: int


@dataclass(frozen=True, order=True)
class Family(Named):
    """All cells of one architecture and seed, which share experts and baselines."""

    architecture: str
    seed: int


@dataclass(frozen=True, order=True)
class Member(Family):
    """One network of a family: an expert, or a model that is trained on all training images."""

    member: str


@dataclass(frozen=True, order=True)
class Finetuned(Family):
    """The experts of a family, trained on the fusion images beside each other: the control of every cell."""

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


@dataclass(frozen=True, order=True)
class SubspaceCell(Cell):
    """One training in a subspace; each number of levels gives a certificate of its own."""

    d: int

    @property
    def cell(self) -> Cell:
        """The cell of the grid with the same names."""
        return Cell(self.architecture, self.fusion, self.lam, self.seed)


@dataclass(frozen=True, order=True)
class SubloraCell(Named):
    """One training of a language model: d numbers, in an allocation mode, from a seed."""

    d: int
    mode: str
    seed: int
