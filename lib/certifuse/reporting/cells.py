"""The cells of the grid that the frames speak of: (architecture, fusion, lambda, seed), and their order.

Baselines have the fusion `baseline` and an empty lambda. Lambdas stay strings: they name files, and "1.0" is not "1".
Architectures and rules of the guides are listed here. One that is added to the library follows them by its name alone,
so that it changes no figure and no table without it.
"""

import zlib
from collections.abc import Iterable

import pandas as pd

from certifuse.reporting.frames import rows_with
from certifuse.study.cells import BASELINE

ARCHITECTURES = ("resnet", "densenet", "improved_wide_resnet", "resnext")
FUSIONS = (
    *("multiplicative", "multiplicativeAddition", "TransformerBase"),
    *("concatenation", "simpleAddition", "multiplicativeShifted"),
)
OTHER_PLACES = 36
"""With those of the guides 42: colours, markers and lines together do not repeat before."""

CELL = ["architecture", "fusion", "lambda", "seed"]
CELL_TYPES = {"architecture": "str", "fusion": "str", "lambda": "str", "seed": "int64"}


def finished_cells(summary: pd.DataFrame) -> pd.DataFrame:
    """The cells that have a score."""
    return rows_with(summary, predictor="fused")[CELL].drop_duplicates()


def missing_cells(missing: pd.DataFrame) -> pd.DataFrame:
    """The cells of the grid that have no result, with their reason; baselines are none."""
    return missing.loc[missing["fusion"] != BASELINE]


def grid(summary: pd.DataFrame, missing: pd.DataFrame) -> pd.DataFrame:
    """Every cell that the study asked for: columns of `CELL`."""
    return pd.concat([finished_cells(summary), missing_cells(missing)[CELL]]).drop_duplicates()


def architectures_of(cells: pd.DataFrame) -> list[str]:
    """The architectures in the order of the guides, and then others by name."""
    return _in_order(cells["architecture"], ARCHITECTURES)


def fusions_of(cells: pd.DataFrame) -> list[str]:
    """The fusion rules in the order of the guides, and then others by name."""
    return _in_order(cells["fusion"], FUSIONS)


def place_of_fusion(fusion: str) -> int:
    """The place of a rule among all that there may be, which decides its look; an added one's comes from its name."""
    if fusion in FUSIONS:
        return FUSIONS.index(fusion)
    return len(FUSIONS) + zlib.crc32(fusion.encode()) % OTHER_PLACES


def lambdas_of(cells: pd.DataFrame) -> list[str]:
    """The lambdas, ascending."""
    return sorted(set(cells["lambda"]), key=float)


def compared_cells(cells: pd.DataFrame, architecture: str) -> dict[str, str]:
    """The lambda at which each fusion rule of an architecture is compared with the others.

    It is the one that most rules have (of several such the nearest to 1, then the smallest); a rule without it
    stands at its own lambda nearest to 1.
    """
    of_architecture = rows_with(cells, architecture=architecture)
    rules = of_architecture.groupby("lambda")["fusion"].nunique().to_dict()
    return {
        fusion: min(
            rows_with(of_architecture, fusion=fusion)["lambda"],
            key=lambda lam: (-rules[lam], abs(float(lam) - 1), float(lam)),
        )
        for fusion in fusions_of(of_architecture)
    }


def _in_order(values: Iterable[str], known: tuple[str, ...]) -> list[str]:
    found = set(values)
    return [name for name in known if name in found] + sorted(found - set(known))
