"""What a prediction costs, beside what it is worth: one expert, single models, averages and every fusion rule."""

from collections.abc import Iterator, Sequence

import pandas as pd

from certifuse.reporting.frames import architectures_of, compared_cells, finished_cells, fusions_of
from certifuse.reporting.fusion.tables import Row
from certifuse.reporting.fusion.tex import predictor_name, spaced
from certifuse.reporting.latex import TableRow, longtable
from certifuse.study.cells import BASELINE

NAME = "costs"
COLUMNS = (
    *("architecture", "fusion", "lambda", "predictor", "seeds", "parameters", "forward_flops"),
    *("parameters_of_one_expert", "flops_of_one_expert", "top1_percent_mean"),
)
NAMES = (("architecture", "l"), ("predictor", "l"), ("λ", "r"), ("n", "r"))
EXPERT = "expert_0_before"
PREDICTORS = (EXPERT, "single", "single_wider", "probability_average_finetuned")
CAPTION = (
    "Cost of a prediction: parameters, and operations for one image (convolutions, matrix products and attention, two "
    "for a multiply-add), each also as a multiple of one expert's. Top-1: mean over n seeds."
)


def cost_rows(summary: pd.DataFrame) -> list[Row]:
    """One row per architecture and predictor whose cost is known; the first expert stands for all, which are alike."""
    rows: list[Row] = []
    cells = finished_cells(summary)
    for architecture in architectures_of(summary):
        of_architecture = summary[summary["architecture"] == architecture]
        named = [
            (row, of_architecture[of_row])
            for row, of_row in _wanted(of_architecture, cells[cells["architecture"] == architecture])
        ]
        found = [row | values for row, frame in named if (values := _costs(frame))]
        one = next((row for row in found if row["predictor"] == EXPERT), None)
        rows.extend({"architecture": architecture, **row, **_multiples(row, one)} for row in found)
    return rows


def costs_tex(rows: Sequence[Row], study: str) -> str:
    """The table in LaTeX."""
    columns = [*NAMES, ("parameters", "r"), ("x", "r"), ("MFLOP per image", "r"), ("x", "r"), ("top-1 (%)", "r")]
    cells = [
        TableRow(
            (
                *row_names(row),
                f"{row['parameters']:,}",
                multiple(row.get("parameters_of_one_expert")),
                f"{row['forward_flops'] / 1e6:,.2f}",
                multiple(row.get("flops_of_one_expert")),
                f"{row['top1_percent_mean']:.2f}",
            )
        )
        for row in rows
    ]
    return longtable(NAME, f"Study {study}. {CAPTION}", columns, spaced(cells))


def _wanted(summary: pd.DataFrame, cells: pd.DataFrame) -> Iterator[tuple[Row, pd.Series]]:
    for predictor in PREDICTORS:
        names = {"fusion": BASELINE, "lambda": "", "predictor": predictor}
        yield names, (summary["fusion"] == BASELINE) & (summary["predictor"] == predictor)
    lams = compared_cells(cells, str(summary["architecture"].iloc[0]))
    for fusion in fusions_of(cells):
        names = {"fusion": fusion, "lambda": lams[fusion], "predictor": "fused"}
        cell = (summary["fusion"] == fusion) & (summary["lambda"] == lams[fusion])
        yield names, cell & (summary["predictor"] == "fused")


def _costs(frame: pd.DataFrame) -> Row:
    values = {metric: of_metric["value"] for metric, of_metric in frame.groupby("metric")}
    if not {"parameters", "forward_flops", "top1_percent"} <= values.keys():
        return {}
    counts = {name: int(values[name].iloc[0]) for name in ("parameters", "forward_flops")}
    return {"seeds": len(values["top1_percent"]), **counts, "top1_percent_mean": float(values["top1_percent"].mean())}


def _multiples(row: Row, one: Row | None) -> Row:
    if one is None:
        return {}
    return {
        "parameters_of_one_expert": row["parameters"] / one["parameters"],
        "flops_of_one_expert": row["forward_flops"] / one["forward_flops"],
    }


def row_names(row: Row) -> tuple[str, ...]:
    """The cells below `NAMES`."""
    fused = row["predictor"] == "fused"
    predictor = f"fused, {row['fusion']}" if fused else predictor_name(row["predictor"])
    return row["architecture"], predictor, row["lambda"], str(row["seeds"])


def multiple(value: float | None) -> str:
    """A factor in a cell, empty where it is not known."""
    return "" if value is None else f"{value:.2f}"
