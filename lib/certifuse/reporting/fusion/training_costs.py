"""The cost of training a predictor, everything that it needs included, beside what it is worth.

Times are those of the machines that trained, so this table differs from run to run; no other does.
"""

from collections.abc import Sequence

import pandas as pd

from certifuse.reporting.cells import architectures_of
from certifuse.reporting.frames import rows_with
from certifuse.reporting.fusion.costs import IDENTITY, NAMES, costed, table_row
from certifuse.reporting.latex import longtable
from certifuse.reporting.predictors import EXPERT, FINETUNED, FUSED, PRETRAINED, SINGLE, WIDER
from certifuse.reporting.tables import Row
from certifuse.reporting.text import mean_text
from certifuse.study import cells

COLUMNS = (
    *IDENTITY,
    *("training_min", "training_of_one_expert", "top1_percent_mean", "top1_percent_per_min", "devices"),
)
CAPTION = (
    "Cost of training: minutes that the epochs of everything that a predictor needs took, one training after the other "
    "(experts, then their fine-tuning or joint training), also as a multiple of the mean of the experts of the same "
    "seed. Each training had one device to itself or shared it, as the study was run. Not counted: evaluation, the fit "
    "of the stacking, and earlier trainings that a cell continues from. Means over n seeds; points per minute: top-1 "
    "by minutes."
)


def training_costs_tex(rows: Sequence[Row], study: str) -> str:
    """The table in LaTeX."""
    columns = (*NAMES, ("training (min)", "r"), ("x", "r"), ("top-1 (%)", "r"), ("points per min", "r"), ("on", "l"))
    lines = []
    for row in rows:
        spent = (f"{row['training_min']:,.3f}", mean_text(row.get("training_of_one_expert"), digits=2))
        worth = (f"{row['top1_percent_mean']:.2f}", f"{row['top1_percent_per_min']:.2f}")
        lines.append(table_row(row, *spent, *worth, row["devices"]))
    return longtable("training_costs", f"Study {study}. {CAPTION}", columns, lines)


def training_cost_rows(summary: pd.DataFrame, costs: pd.DataFrame) -> list[Row]:
    """One row per architecture and predictor, over the seeds whose score and all of whose trainings are known."""
    rows: list[Row] = []
    scores = rows_with(summary, metric="top1_percent")
    for architecture in architectures_of(summary):
        spent = rows_with(costs, architecture=architecture)
        members, experts = _members(rows_with(scores, architecture=architecture), spent)
        one, needs = members[experts].mean(axis=1, skipna=False), _needs(experts)
        for names in costed(summary, architecture, tuple(needs)):
            minutes = _minutes(names, needs.get(names["predictor"], experts), members, spent)
            values = _means(rows_with(scores, **names), minutes, one)
            rows += [names | values | {"devices": "+".join(sorted(set(spent["device"])))}] if values else []
    return rows


def _members(scores: pd.DataFrame, spent: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Minutes of everything but the cells, a row a seed and a column a training, and which of them are the experts'."""
    seconds = rows_with(spent, fusion=cells.BASELINE)
    members = seconds.pivot(index="seed", columns="training", values="training_wall_s") / 60
    experts = sorted(set(scores["predictor"].str.extract(r"^(expert_[0-9]+)_before$")[0].dropna()))
    return members.reindex(columns=sorted({*members, *experts, cells.SINGLE, cells.WIDER, cells.FINETUNED})), experts


def _needs(experts: Sequence[str]) -> dict[str, list[str]]:
    """The trainings that each predictor needs that is not fused."""
    return {
        EXPERT: [*experts[:1]],
        SINGLE: [cells.SINGLE],
        WIDER: [cells.WIDER],
        PRETRAINED: [*experts],
        "stacking_before": [*experts],
        FINETUNED: [*experts, cells.FINETUNED],
    }


def _minutes(names: Row, needed: Sequence[str], members: pd.DataFrame, spent: pd.DataFrame) -> "pd.Series[float]":
    """The minutes that training a predictor took, by seed: NaN where one of its trainings is not known."""
    minutes = members[[*needed]].sum(axis=1, min_count=len(needed) or 1)
    if names["predictor"] != FUSED:
        return minutes
    joint = rows_with(spent, training=cells.JOINT, fusion=names["fusion"], lam=names["lambda"])
    return minutes + joint.set_index("seed")["training_wall_s"] / 60


def _means(scores: pd.DataFrame, minutes: "pd.Series[float]", one: "pd.Series[float]") -> Row:
    """Means over the seeds with a score and a cost; the multiple of an expert's is taken seed by seed."""
    both = pd.DataFrame({"top1": scores.set_index("seed")["value"], "min": minutes}).dropna()
    if both.empty:
        return {}
    top1, spent_min = float(both["top1"].mean()), float(both["min"].mean())
    costs = {"training_min": spent_min, "top1_percent_mean": top1, "top1_percent_per_min": top1 / spent_min}
    times = (both["min"] / one.reindex(both.index)).mean(skipna=False)
    return {"seeds": len(both), **costs} | ({} if pd.isna(times) else {"training_of_one_expert": float(times)})
