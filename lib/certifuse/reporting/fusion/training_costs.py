"""What a predictor cost to train, everything that it needs included, beside what it is worth.

Times are those of the machines that trained, so this table differs from run to run; no other does.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from certifuse.reporting.frames import architectures_of, compared_cells, finished_cells, fusions_of
from certifuse.reporting.fusion.costs import EXPERT, NAMES, multiple, row_names
from certifuse.reporting.fusion.tables import Row
from certifuse.reporting.fusion.tex import spaced
from certifuse.reporting.latex import TableRow, longtable
from certifuse.study.cells import BASELINE, FINETUNED
from certifuse.study.paths import SINGLE, WIDER
from certifuse.study.cells import JOINT

NAME = "training_costs"
COLUMNS = (
    *("architecture", "fusion", "lambda", "predictor", "seeds", "training_min", "training_of_one_expert"),
    *("top1_percent_mean", "top1_percent_per_min", "devices"),
)
CAPTION = (
    "Cost of training: minutes that the epochs of everything that a predictor needs took, one training after the other "
    "(experts, then their fine-tuning or joint training), also as a multiple of the mean of the experts of the same "
    "seed. Each training had one device to itself or shared it, as the study was run. Not counted: evaluation, the fit "
    "of the stacking, and earlier trainings that a cell continues from. Means over n seeds; points per minute: top-1 "
    "by minutes."
)


def training_cost_rows(summary: pd.DataFrame, costs: pd.DataFrame) -> list[Row]:
    """One row per architecture and predictor, over the seeds whose score and all of whose trainings are known."""
    rows: list[Row] = []
    top1, cells = summary[summary["metric"] == "top1_percent"], finished_cells(summary)
    for architecture in architectures_of(summary):
        scores, spent = (frame[frame["architecture"] == architecture] for frame in (top1, costs))
        lams = compared_cells(cells, architecture)
        compared = [(fusion, lams[fusion]) for fusion in fusions_of(cells) if fusion in lams]
        members, experts = _members(scores, spent)
        one = members[experts].mean(axis=1, skipna=False)
        devices = {"devices": "+".join(sorted(set(spent["device"])))}
        for names, minutes in _minutes(members, experts, spent, compared):
            values = _means(scores, names, minutes, one)
            rows += [{"architecture": architecture, **names, **values, **devices}] if values else []
    return rows


def training_costs_tex(rows: Sequence[Row], study: str) -> str:
    """The table in LaTeX."""
    columns = [*NAMES, ("training (min)", "r"), ("x", "r"), ("top-1 (%)", "r"), ("points per min", "r"), ("on", "l")]
    cells = [
        TableRow(
            (
                *row_names(row),
                f"{row['training_min']:,.3f}",
                multiple(row.get("training_of_one_expert")),
                f"{row['top1_percent_mean']:.2f}",
                f"{row['top1_percent_per_min']:.2f}",
                row["devices"],
            )
        )
        for row in rows
    ]
    return longtable(NAME, f"Study {study}. {CAPTION}", columns, spaced(cells))


def _members(scores: pd.DataFrame, spent: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Minutes of everything but the cells, a row a seed and a column a training, and which of them are the experts'."""
    members = spent[spent["fusion"] == BASELINE].pivot(index="seed", columns="training", values="training_wall_s") / 60
    experts = sorted(set(scores["predictor"].str.extract(r"^(expert_[0-9]+)_before$")[0].dropna()))
    return members.reindex(columns=sorted({*members, *experts, SINGLE, WIDER, FINETUNED})), experts


def _minutes(
    members: pd.DataFrame, experts: list[str], spent: pd.DataFrame, compared: Sequence[tuple[str, str]]
) -> Iterator[tuple[Row, "pd.Series[float]"]]:
    """The names of each predictor, and what it cost by seed: NaN where one of its trainings is not known."""
    needs = {
        EXPERT: experts[:1],
        SINGLE: [SINGLE],
        WIDER: [WIDER],
        "probability_average_before": experts,
        "stacking_before": experts,
        "probability_average_finetuned": [*experts, FINETUNED],
    }
    for predictor, needed in needs.items():
        minutes = members[needed].sum(axis=1, min_count=len(needed) or 1)
        yield {"fusion": BASELINE, "lambda": "", "predictor": predictor}, minutes
    of_experts = members[experts].sum(axis=1, min_count=len(experts) or 1)
    for fusion, lam in compared:
        cells = spent[(spent["training"] == JOINT) & (spent["fusion"] == fusion) & (spent["lambda"] == lam)]
        minutes = of_experts + cells.set_index("seed")["training_wall_s"] / 60
        yield {"fusion": fusion, "lambda": lam, "predictor": "fused"}, minutes


def _means(scores: pd.DataFrame, names: Row, minutes: "pd.Series[float]", one: "pd.Series[float]") -> Row:
    """Means over the seeds with a score and a cost; the multiple of an expert's is taken seed by seed."""
    of_predictor = scores[(scores[list(names)] == pd.Series(names)).all(axis=1)].set_index("seed")
    both = pd.DataFrame({"top1": of_predictor["value"], "min": minutes}).dropna()
    if both.empty:
        return {}
    top1, spent_min = float(both["top1"].mean()), float(both["min"].mean())
    costs = {"training_min": spent_min, "top1_percent_mean": top1, "top1_percent_per_min": top1 / spent_min}
    times = (both["min"] / one.reindex(both.index)).mean(skipna=False)
    return {"seeds": len(both), **costs} | ({} if pd.isna(times) else {"training_of_one_expert": float(times)})
