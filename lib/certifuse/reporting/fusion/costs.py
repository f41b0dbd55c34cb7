"""The cost of a prediction, beside what it is worth: one expert, single models, averages and every fusion rule."""

from collections.abc import Iterator, Sequence

import pandas as pd

from certifuse.reporting.cells import architectures_of, compared_cells, finished_cells, fusions_of
from certifuse.reporting.latex import TableRow, by_first_cell, longtable
from certifuse.reporting.predictors import EXPERT, FINETUNED, FUSED, SINGLE, WIDER, predictor_name
from certifuse.reporting.tables import Row
from certifuse.reporting.text import mean_text
from certifuse.study.cells import BASELINE

IDENTITY = ("architecture", "fusion", "lambda", "predictor", "seeds")
NAMES = (("architecture", "l"), ("predictor", "l"), ("λ", "r"), ("n", "r"))
COUNTS = ("parameters", "forward_flops")
COLUMNS = (*IDENTITY, *COUNTS, "parameters_of_one_expert", "flops_of_one_expert", "top1_percent_mean")
CAPTION = (
    "Cost of a prediction: parameters, and operations for one image (convolutions, matrix products and attention, two "
    "for a multiply-add), each also as a multiple of one expert's. Top-1: mean over n seeds."
)


def costs_tex(rows: Sequence[Row], study: str) -> str:
    """The table in LaTeX."""
    columns = [*NAMES, ("parameters", "r"), ("x", "r"), ("MFLOP per image", "r"), ("x", "r"), ("top-1 (%)", "r")]
    lines = []
    for row in rows:
        parameters = (f"{row['parameters']:,}", mean_text(row.get("parameters_of_one_expert"), digits=2))
        operations = (f"{row['forward_flops'] / 1e6:,.2f}", mean_text(row.get("flops_of_one_expert"), digits=2))
        lines.append(TableRow((*row_names(row), *parameters, *operations, f"{row['top1_percent_mean']:.2f}")))
    return longtable("costs", f"Study {study}. {CAPTION}", columns, by_first_cell(lines))


def cost_rows(summary: pd.DataFrame) -> list[Row]:
    """One row per architecture and predictor whose cost is known; the first expert stands for all, which are alike."""
    rows: list[Row] = []
    for architecture in architectures_of(summary):
        of_architecture = summary[summary["architecture"] == architecture]
        named = costed(of_architecture, architecture, (EXPERT, SINGLE, WIDER, FINETUNED))
        found = [names | values for names in named if (values := _costs(rows_of(of_architecture, names)))]
        one = next((row for row in found if row["predictor"] == EXPERT), None)
        rows.extend({"architecture": architecture, **row, **_multiples(row, one)} for row in found)
    return rows


def costed(summary: pd.DataFrame, architecture: str, baselines: tuple[str, ...]) -> Iterator[Row]:
    """Fusion, lambda and predictor of what is compared: the baselines, then every rule where rules are compared."""
    for predictor in baselines:
        yield {"fusion": BASELINE, "lambda": "", "predictor": predictor}
    cells = finished_cells(summary)
    lams = compared_cells(cells, architecture)
    for fusion in fusions_of(cells):
        if fusion in lams:
            yield {"fusion": fusion, "lambda": lams[fusion], "predictor": FUSED}


def rows_of(scores: pd.DataFrame, names: Row) -> pd.DataFrame:
    """The rows with these names."""
    return scores[(scores[list(names)] == pd.Series(names)).all(axis=1)]


def row_names(row: Row) -> tuple[str, ...]:
    """The cells below `NAMES`."""
    predictor = f"fused, {row['fusion']}" if row["predictor"] == FUSED else predictor_name(row["predictor"])
    return row["architecture"], predictor, row["lambda"], str(row["seeds"])


def _costs(frame: pd.DataFrame) -> Row:
    values = {metric: of_metric["value"] for metric, of_metric in frame.groupby("metric")}
    if not {*COUNTS, "top1_percent"} <= values.keys():
        return {}
    counts = {name: int(values[name].iloc[0]) for name in COUNTS}
    return {"seeds": len(values["top1_percent"]), **counts, "top1_percent_mean": float(values["top1_percent"].mean())}


def _multiples(row: Row, one: Row | None) -> Row:
    if one is None:
        return {}
    multiples = [row[name] / one[name] for name in COUNTS]
    return dict(zip(("parameters_of_one_expert", "flops_of_one_expert"), multiples, strict=True))
