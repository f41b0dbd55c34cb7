"""The cells of the grid that the frames speak of: (architecture, fusion, lambda, seed).

Baselines have the fusion `baseline` and an empty lambda. Lambdas stay strings: they name files, and "1.0" is not "1".
"""

from collections.abc import Iterable

import pandas as pd

from certifuse.reporting.order import ARCHITECTURES, FUSIONS
from certifuse.study.cells import BASELINE

CELL = ["architecture", "fusion", "lambda", "seed"]
CELL_TYPES = {"architecture": "str", "fusion": "str", "lambda": "str", "seed": "int64"}


def finished_cells(summary: pd.DataFrame) -> pd.DataFrame:
    """The cells that have a score."""
    return summary.loc[summary["predictor"] == "fused", CELL].drop_duplicates()


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


def lambdas_of(cells: pd.DataFrame) -> list[str]:
    """The lambdas, ascending."""
    return sorted(set(cells["lambda"]), key=float)


def compared_cells(cells: pd.DataFrame, architecture: str) -> dict[str, str]:
    """The lambda at which each fusion rule of an architecture is compared with the others.

    It is the one that most rules have (of several such the nearest to 1, then the smallest); a rule without it
    stands at its own lambda nearest to 1.
    """
    of_architecture = cells[cells["architecture"] == architecture]
    rules = of_architecture.groupby("lambda")["fusion"].nunique().to_dict()
    return {
        fusion: min(of_rule["lambda"], key=lambda lam: (-rules[lam], abs(float(lam) - 1), float(lam)))
        for fusion, of_rule in of_architecture.groupby("fusion")
    }


def _in_order(values: Iterable[str], known: tuple[str, ...]) -> list[str]:
    found = set(values)
    return [name for name in known if name in found] + sorted(found - set(known))
