"""The CSV files of the SubLoRA study as typed frames, and which of their rows speak of one budget.

A row of `metrics` is one certificate: of a language model (`sublora`: budget d, mode, seed, levels) or of a coded
n-gram table (`ngram`: its name stands as the mode, and it has neither budget nor seed). `_bpd`: bits per token.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from certifuse.base.errors import UserError
from certifuse.reporting.frames import read_frame
from certifuse.reporting.sublora.modes import LORA_ONLY, REFERENCES, is_allocation, modes_in_order

SUBLORA, NGRAM = MODELS = ("sublora", "ngram")
IDENTITY = ["model", "d", "mode", "seed", "levels"]
HEAD = "head"

_TRAINED = {"d": "Int64", "mode": "str", "seed": "Int64"}
_IDENTITY = {"model": "str", **_TRAINED, "levels": "Int64"}
METRICS = _IDENTITY | {
    "ratio": "float64",
    "documents": "int64",
    "subsample": "int64",
    "vocabulary": "int64",
    "delta": "float64",
    "alpha": "float64",
    "validation_bpd": "float64",
    "risk_bpd": "float64",
    "deviation_bpd": "float64",
    "code_bits": "float64",
    "kl_nats": "float64",
    "bound_published_bpd": "float64",
    "bound_best_bpd": "float64",
    "inequality": "str",
    "vacuous_bpd": "float64",
    "top1_risk": "float64",
    "top1_bound": "float64",
}
GATES = _TRAINED | {"group": "str", "depth": "int64", "budget": "int64", "split": "int64", "gamma": "float64"}
TERMS = _TRAINED | {
    "levels": "Int64",
    "inequality": "str",
    "alpha": "float64",
    "risk_bpd": "float64",
    "subsampling_bpd": "float64",
    "complexity_bpd": "float64",
    "bound_bpd": "float64",
}
LEDGERS = _IDENTITY | {"charge": "str", "bits": "float64"}
MISSING = _IDENTITY | {"reason": "str"}


@dataclass(frozen=True, kw_only=True)
class SubloraFrames:
    """What the figures and most tables of the study look at; columns as in the schemas above."""

    metrics: pd.DataFrame
    gates: pd.DataFrame
    missing: pd.DataFrame


def read_sublora_frames(*, metrics: Path | None, gates: Path, missing: Path) -> SubloraFrames:
    """Read the files. Figures of splits alone need no `metrics`, of which the frame is empty then.

    Raises:
        UserError: a column is absent, a value has the wrong type, or a row contradicts itself or repeats another.
    """
    return SubloraFrames(
        metrics=_read_metrics(metrics) if metrics else pd.DataFrame(columns=list(METRICS)).astype(METRICS),
        gates=_checked(gates, read_frame(gates, GATES), _true_gates),
        missing=read_frame(missing, MISSING),
    )


def _read_metrics(path: Path) -> pd.DataFrame:
    return _checked(path, read_frame(path, METRICS), _true_metrics)


def _checked(path: Path, rows: pd.DataFrame, holding: Callable[[pd.DataFrame], dict[str, pd.Series]]) -> pd.DataFrame:
    for expected, holds in holding(rows).items():
        wrong = rows[~holds.fillna(False).astype(bool)]
        if not wrong.empty:
            raise UserError(f"{path}: line {int(wrong.index[0]) + 2}: expected {expected}: gather the study again")
    return rows


def _true_metrics(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """What holds of every row of a true file."""
    trained = rows["model"] == SUBLORA
    return {
        f"model to be one of {', '.join(MODELS)}": rows["model"].isin(MODELS),
        "one row per certificate": ~rows.duplicated(IDENTITY),
        "d, seed and levels of a language model": ~trained | rows[["d", "seed", "levels"]].notna().all(axis=1),
        "delta strictly between 0 and 1": (rows["delta"] > 0) & (rows["delta"] < 1),
        "kl_nats to be code_bits ln 2": (rows["kl_nats"] - rows["code_bits"] * math.log(2)).abs()
        <= 1e-6 * rows["code_bits"] + 1e-6,
        "vacuous_bpd to be log2 vocabulary": (rows["vacuous_bpd"] - np.log2(rows["vocabulary"])).abs() <= 1e-6,
        "bound_best_bpd at or above risk_bpd": rows["bound_best_bpd"] >= rows["risk_bpd"] - 1e-6,
        "a published bound": rows["bound_published_bpd"].notna(),
    }


def _true_gates(rows: pd.DataFrame) -> dict[str, pd.Series]:
    return {
        "one row per group of a model": ~rows.duplicated(["d", "mode", "seed", "group"]),
        "split between 0 and budget": (rows["split"] >= 0) & (rows["split"] <= rows["budget"]),
        "gamma to be split / budget": (rows["gamma"] * rows["budget"] - rows["split"]).abs() <= 1e-6 * rows["budget"],
    }


# ---- the grid ------------------------------------------------------------------------------------


def grid(frames: SubloraFrames) -> pd.DataFrame:
    """Every certificate that the study asked for, existing or missing: columns of `IDENTITY`."""
    return pd.concat([frames.metrics[IDENTITY], frames.missing[IDENTITY]]).drop_duplicates()


def study_modes(frames: SubloraFrames) -> set[str]:
    """Every mode that the study asked for."""
    cells = grid(frames)
    return set(cells.loc[cells["model"] == SUBLORA, "mode"])


def budgets_of(frames: SubloraFrames) -> list[int]:
    """Every budget d for which the study asked for an allocation, ascending."""
    cells = grid(frames)
    allocated = (cells["model"] == SUBLORA) & cells["mode"].map(is_allocation).astype(bool)
    return sorted(int(d) for d in cells.loc[allocated, "d"].dropna().unique())


def compared_budgets(frames: SubloraFrames) -> list[int]:
    """The budgets for which the study asked for several allocations, ascending; every budget where there is none."""
    budgets = budgets_of(frames)
    return [d for d in budgets if sum(map(is_allocation, modes_at(frames, d))) > 1] or budgets


def modes_at(frames: SubloraFrames, d: int) -> list[str]:
    """The modes that the study asked for at this budget, in order."""
    return modes_in_order(at_budget(of_models(grid(frames)), d)["mode"])


def of_models(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of language models."""
    return rows[rows["model"] == SUBLORA]


def at_budget(rows: pd.DataFrame, d: int) -> pd.DataFrame:
    """The rows of models with this budget."""
    return rows[(rows["d"] == d).fillna(False).astype(bool)]


def of_modes(rows: pd.DataFrame, wanted: Callable[[str], bool]) -> pd.DataFrame:
    """The rows whose mode is wanted."""
    return rows[rows["mode"].map(wanted).astype(bool)]


def allocated_rows(metrics: pd.DataFrame, d: int) -> pd.DataFrame:
    """The certificates of all ways to divide the budget d, every number of levels."""
    return of_modes(at_budget(of_models(metrics), d), is_allocation)


def reference_rows(metrics: pd.DataFrame, d: int) -> pd.DataFrame:
    """Models without LoRA of the same budget, and those without a subspace, whose d is all their LoRA weights."""
    rows = of_modes(of_models(metrics), REFERENCES.__contains__)
    return rows[(rows["mode"] == LORA_ONLY) | (rows["d"] == d)]
