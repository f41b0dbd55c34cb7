"""The tidy CSV files that the workflow gathers, as typed frames, and the grid that they speak of.

A cell is one (architecture, fusion, lambda, seed). Baselines have the fusion `baseline` and an empty lambda. Lambdas
stay strings: they name files, and "1.0" is not "1".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from certifuse.base.errors import UserError
from certifuse.base.manifest import check_as_written
from certifuse.study.cells import BASELINE
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.study.settings.fusion import FUSIONS

CELL = ["architecture", "fusion", "lambda", "seed"]

_CELL = {"architecture": "str", "fusion": "str", "lambda": "str", "seed": "int64"}
SUMMARY = _CELL | {"predictor": "str", "metric": "str", "value": "float64"}
LOGS = {
    "model_architecture": "str",
    "fusion_type": "str",
    "lambda": "str",
    "seed": "int64",
    "epoch": "int64",
    "val_loss": "float64",
    "val_accuracy": "float64",
    "loss_global": "float64",
    "loss_individual": "float64",
    "path_gradient_cosine": "float64",
}
CALIBRATION = _CELL | {
    "predictor": "str",
    "calibrated": "int64",
    "bin": "int64",
    "count": "int64",
    "mean_confidence": "float64",
    "accuracy": "float64",
}
COMPARISON = _CELL | {
    "level": "str",
    "seed": "Int64",
    "predictor": "str",
    "baseline": "str",
    "n_test": "Int64",
    "seeds": "Int64",
    "difference_points": "float64",
    "low_points": "float64",
    "high_points": "float64",
    "bootstrap_p": "float64",
    "bootstrap_p_holm": "float64",
    "mcnemar_p": "float64",
    "mcnemar_p_holm": "float64",
    "seeds_significant": "Int64",
    "seeds_worse": "Int64",
    "t_low_points": "float64",
    "t_high_points": "float64",
}
MISSING = _CELL | {"reason": "str"}
COSTS = _CELL | {"training": "str", "training_wall_s": "float64", "device": "str"}


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Everything that a figure or a table may look at; columns as in the schemas above."""

    summary: pd.DataFrame
    logs: pd.DataFrame
    calibration: pd.DataFrame
    comparison: pd.DataFrame
    missing: pd.DataFrame

    @property
    def n_test(self) -> int | None:
        """Number of test images, or None while no pair has been compared."""
        return count_test_images(self.comparison)


def count_test_images(comparison: pd.DataFrame) -> int | None:
    """Number of test images, or None while no pair has been compared."""
    return None if comparison.empty else int(comparison["n_test"].max())


def read_frame(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read a CSV file with at least the given columns; an empty text field is "", an empty number is NaN.

    A file without rows gives an empty frame, whatever its header.

    Raises:
        UserError: a column is absent, a value does not have the column's type, or the file is not as it was written.
    """
    check_as_written(path)
    try:
        frame = pd.read_csv(path, dtype=dict(columns), keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None
    absent = [name for name in columns if name not in frame.columns]
    if frame.empty:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
    if absent:
        raise UserError(f"{path}: expected the columns {', '.join(columns)}, found none called {', '.join(absent)}")
    texts = [name for name, kind in columns.items() if kind == "str"]
    return frame.fillna(dict.fromkeys(texts, ""))


def read_frames(*, summary: Path, logs: Path, calibration: Path, comparison: Path, missing: Path) -> Frames:
    """Read all five files."""
    return Frames(
        summary=read_frame(summary, SUMMARY),
        logs=read_frame(logs, LOGS),
        calibration=read_frame(calibration, CALIBRATION),
        comparison=read_frame(comparison, COMPARISON),
        missing=read_frame(missing, MISSING),
    )


# ---- the grid ------------------------------------------------------------------------------------


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
    """The architectures in the library's order."""
    return _in_order(cells["architecture"], tuple(ARCHITECTURE_SETTINGS))


def fusions_of(cells: pd.DataFrame) -> list[str]:
    """The fusion rules in the library's order."""
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
