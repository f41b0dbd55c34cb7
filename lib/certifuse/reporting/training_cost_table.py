"""What a predictor cost to train, everything that it needs included, beside what it is worth.

Times are those of the machines that trained, so this table differs from run to run; no other does.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from certifuse.layout import SINGLE, WIDER
from certifuse.reporting.cost_table import EXPERT, NAMES, multiple, row_names
from certifuse.reporting.frames import architectures_of, compared_cells, finished_cells, fusions_of
from certifuse.reporting.latex import TableRow, longtable
from certifuse.reporting.paper_tables import spaced
from certifuse.reporting.tables import Row
from certifuse.settings.grid import BASELINE, FINETUNED, JOINT

NAME = "training_costs"
COLUMNS = (
    *("architecture", "fusion", "lambda", "predictor", "seeds", "training_min", "training_of_one_expert"),
    *("top1_percent_mean", "top1_percent_per_min", "devices"),
)
CAPTION = (
    "Cost of training: minutes that the epochs of everything that a predictor needs took, one training after the other "
    "(experts, then their fine-tuning or joint training), also as a multiple of one expert's. Each training had one "
    "device to itself or shared it, as the study was run. Not counted: evaluation, and the fit of the stacking. "
    "Means over n seeds; points per minute: top-1 by minutes."
)


def training_cost_rows(summary: pd.DataFrame, costs: pd.DataFrame) -> list[Row]:
    """One row per architecture and predictor, over the seeds whose score and all of whose trainings are known."""
    rows: list[Row] = []
    top1, cells = summary[summary["metric"] == "top1_percent"], finished_cells(summary)
    for architecture in architectures_of(summary):
        scores, spent = (frame[frame["architecture"] == architecture] for frame in (top1, costs))
        lams = compared_cells(cells, architecture)
        compared = [(fusion, lams[fusion]) for fusion in fusions_of(cells) if fusion in lams]
        named = _minutes(scores, spent, compared)
        found = [row | values for row, minutes in named if (values := _means(scores, row, minutes))]
        one = next((row["training_min"] for row in found if row["predictor"] == EXPERT), None)
        devices = "+".join(sorted(set(spent["device"])))
        for row in found:
            multiples = {} if one is None else {"training_of_one_expert": row["training_min"] / one}
            rows.append({"architecture": architecture, **row, **multiples, "devices": devices})
    return rows


def training_costs_tex(rows: Sequence[Row], study: str) -> str:
    """The table in LaTeX."""
    columns = [*NAMES, ("training (min)", "r"), ("x", "r"), ("top-1 (%)", "r"), ("points per min", "r"), ("on", "l")]
    cells = [
        TableRow(
            (
                *row_names(row),
                f"{row['training_min']:,.2f}",
                multiple(row.get("training_of_one_expert")),
                f"{row['top1_percent_mean']:.2f}",
                f"{row['top1_percent_per_min']:.2f}",
                row["devices"],
            )
        )
        for row in rows
    ]
    return longtable(NAME, f"Study {study}. {CAPTION}", columns, spaced(cells))


def _minutes(
    scores: pd.DataFrame, spent: pd.DataFrame, compared: Sequence[tuple[str, str]]
) -> Iterator[tuple[Row, "pd.Series[float]"]]:
    """The names of each predictor, and what it cost by seed: NaN where one of its trainings is not known."""
    members = spent[spent["fusion"] == BASELINE].pivot(index="seed", columns="training", values="training_wall_s")
    experts = sorted(set(scores["predictor"].str.extract(r"^(expert_[0-9]+)_before$")[0].dropna()))
    needs = {
        EXPERT: experts[:1],
        SINGLE: [SINGLE],
        WIDER: [WIDER],
        "probability_average_before": experts,
        "stacking_before": experts,
        "probability_average_finetuned": [*experts, FINETUNED],
    }
    wall_s = {
        name: members.reindex(columns=needed).sum(axis=1, min_count=len(needed) or 1) for name, needed in needs.items()
    }
    for predictor, of_predictor in wall_s.items():
        yield {"fusion": BASELINE, "lambda": "", "predictor": predictor}, of_predictor / 60
    for fusion, lam in compared:
        cells = spent[(spent["training"] == JOINT) & (spent["fusion"] == fusion) & (spent["lambda"] == lam)]
        of_cell = wall_s["probability_average_before"] + cells.set_index("seed")["training_wall_s"]
        yield {"fusion": fusion, "lambda": lam, "predictor": "fused"}, of_cell / 60


def _means(scores: pd.DataFrame, row: Row, minutes: "pd.Series[float]") -> Row:
    of_predictor = scores[(scores[list(row)] == pd.Series(row)).all(axis=1)].set_index("seed")
    both = pd.DataFrame({"top1": of_predictor["value"], "min": minutes}).dropna()
    if both.empty:
        return {}
    top1, spent_min = float(both["top1"].mean()), float(both["min"].mean())
    costs = {"training_min": spent_min, "top1_percent_mean": top1, "top1_percent_per_min": top1 / spent_min}
    return {"seeds": len(both), **costs}
