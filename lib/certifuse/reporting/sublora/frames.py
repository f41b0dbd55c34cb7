"""The tables of the language models, and which of their rows speak of one budget.

A row of `metrics` is one certificate: of a language model (`sublora`: budget d, mode, seed, levels) or of a coded
n-gram table (`ngram`: its name stands as the mode, and it has neither budget nor seed). `_bpd`: bits per token.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from certifuse.reporting.frames import Frames, Schema, rows_with
from certifuse.reporting.sublora.modes import LORA_ONLY, REFERENCES, is_allocation, modes_in_order

SUBLORA, NGRAM = MODELS = ("sublora", "ngram")
IDENTITY = ["model", "d", "mode", "seed", "levels"]
HEAD = "head"

_TRAINED = {"d": "Int64", "mode": "str", "seed": "Int64"}
_IDENTITY = {"model": "str", **_TRAINED, "levels": "Int64"}
_MEASURED = (
    *("ratio", "delta", "alpha", "validation_bpd", "risk_bpd", "deviation_bpd", "code_bits", "kl_nats"),
    *(
        "bound_published_bpd",
        "bound_hoeffding_bpd",
        "bound_best_bpd",
        "bound_best_of_bpd",
        "vacuous_bpd",
        "top1_risk",
        "top1_bound",
    ),
)


def _true_metrics(rows: pd.DataFrame) -> dict[str, "pd.Series[bool]"]:
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
        "bound_best_of_bpd at or above bound_best_bpd": ~(rows["bound_best_of_bpd"] < rows["bound_best_bpd"] - 1e-6),
    }


def _true_gates(rows: pd.DataFrame) -> dict[str, "pd.Series[bool]"]:
    return {
        "one row per group of a model": ~rows.duplicated(["d", "mode", "seed", "group"]),
        "split between 0 and budget": (rows["split"] >= 0) & (rows["split"] <= rows["budget"]),
        "gamma to be split / budget": (rows["gamma"] * rows["budget"] - rows["split"]).abs() <= 1e-6 * rows["budget"],
    }


SCHEMAS = {
    "metrics": Schema(
        _IDENTITY
        | dict.fromkeys(("documents", "vocabulary", "candidates"), "int64")
        | {"subsample": "Int64"}
        | dict.fromkeys(_MEASURED, "float64")
        | {"inequality": "str"},
        holding=_true_metrics,
        identity=tuple(IDENTITY),
    ),
    "gates": Schema(
        _TRAINED | {"group": "str", "depth": "int64", "budget": "int64", "split": "int64", "gamma": "float64"},
        holding=_true_gates,
        identity=tuple(_TRAINED),
    ),
    "missing": Schema(_IDENTITY | {"reason": "str"}),
    "terms": Schema(
        _TRAINED
        | {"levels": "Int64", "inequality": "str"}
        | dict.fromkeys(("alpha", "risk_bpd", "subsampling_bpd", "complexity_bpd", "bound_bpd"), "float64")
    ),
    "ledgers": Schema(_IDENTITY | {"charge": "str", "bits": "float64"}),
}


# ---- the grid ------------------------------------------------------------------------------------


def grid(tables: Frames) -> pd.DataFrame:
    """Every certificate that the study asked for, existing or missing: columns of `IDENTITY`."""
    return pd.concat([tables.metrics[IDENTITY], tables.missing[IDENTITY]]).drop_duplicates()


def study_modes(tables: Frames) -> set[str]:
    """Every mode that the study asked for."""
    return set(of_models(grid(tables))["mode"])


def budgets_of(tables: Frames) -> list[int]:
    """Every budget d for which the study asked for an allocation, ascending."""
    return sorted(int(d) for d in of_modes(of_models(grid(tables)), is_allocation)["d"].dropna().unique())


def compared_budgets(tables: Frames) -> list[int]:
    """The budgets for which the study asked for several allocations, ascending; every budget where there is none."""
    budgets = budgets_of(tables)
    return [d for d in budgets if sum(map(is_allocation, modes_at(tables, d))) > 1] or budgets


def modes_at(tables: Frames, d: int) -> list[str]:
    """The modes that the study asked for at this budget, in order."""
    return modes_in_order(rows_with(grid(tables), model=SUBLORA, d=d)["mode"])


def of_models(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of language models."""
    return rows_with(rows, model=SUBLORA)


def of_modes(rows: pd.DataFrame, wanted: Callable[[str], bool]) -> pd.DataFrame:
    """The rows whose mode is wanted."""
    return rows[rows["mode"].map(wanted).astype(bool)]


def allocated_rows(metrics: pd.DataFrame, d: int) -> pd.DataFrame:
    """The certificates of all ways to divide the budget d, every number of levels."""
    return of_modes(rows_with(metrics, model=SUBLORA, d=d), is_allocation)


def reference_rows(metrics: pd.DataFrame, d: int) -> pd.DataFrame:
    """Models without LoRA of the same budget, and those without a subspace, whose d is all their LoRA weights."""
    rows = of_modes(of_models(metrics), REFERENCES.__contains__)
    return rows[(rows["mode"] == LORA_ONLY) | (rows["d"] == d)]
