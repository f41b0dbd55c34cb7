"""The cost of a prediction, beside what it is worth: one expert, single models, averages and every fusion rule."""

from collections.abc import Iterator, Sequence

import pandas as pd

from certifuse.reporting.cells import architectures_of, compared_cells, finished_cells
from certifuse.reporting.frames import rows_with
from certifuse.reporting.latex import TableRow, longtable
from certifuse.reporting.predictors import EXPERT, FINETUNED, FUSED, SINGLE, WIDER, predictor_name
from certifuse.reporting.tables import Row
from certifuse.reporting.text import mean_text
from certifuse.study.cells import BASELINE

IDENTITY = ("architecture", "fusion", "lambda", "predictor", "seeds")
NAMES = (("architecture", "l"), ("predictor", "l"), ("λ", "r"), ("n", "r"))
MULTIPLES = {"parameters": "parameters_of_one_expert", "forward_flops": "flops_of_one_expert"}
"""What is counted, and its multiple of one expert's."""
COLUMNS = (*IDENTITY, *MULTIPLES, *MULTIPLES.values(), "top1_percent_mean")
CAPTION = (
    "Cost of a prediction: parameters, and operations for one image (convolutions, matrix products and attention, two "
    "for a multiply-add), each also as a multiple of one expert's. Top-1: mean over n seeds."
)


def costs_tex(rows: Sequence[Row], study: str) -> str:
    """The table in LaTeX."""
    columns = (*NAMES, ("parameters", "r"), ("x", "r"), ("MFLOP per image", "r"), ("x", "r"), ("top-1 (%)", "r"))
    lines = []
    for row in rows:
        parameters, operations = (mean_text(row.get(name), digits=2) for name in MULTIPLES.values())
        counted = (f"{row['parameters']:,}", parameters, f"{row['forward_flops'] / 1e6:,.2f}", operations)
        lines.append(table_row(row, *counted, f"{row['top1_percent_mean']:.2f}"))
    return longtable("costs", f"Study {study}. {CAPTION}", columns, lines)


def cost_rows(summary: pd.DataFrame) -> list[Row]:
    """One row per architecture and predictor whose cost is known; the first expert stands for all, which are alike."""
    rows: list[Row] = []
    for architecture in architectures_of(summary):
        named = costed(summary, architecture, (EXPERT, SINGLE, WIDER, FINETUNED))
        found = [names | values for names in named if (values := _costs(rows_with(summary, **names)))]
        expert = [row for row in found if row["predictor"] == EXPERT]
        multiples = [{of: row[name] / one[name] for name, of in MULTIPLES.items()} for one in expert for row in found]
        rows += [row | multiple for row, multiple in zip(found, multiples or [{}] * len(found), strict=True)]
    return rows


def costed(summary: pd.DataFrame, architecture: str, baselines: tuple[str, ...]) -> Iterator[Row]:
    """The names of what is compared: the baselines, then every rule where rules are compared."""
    for predictor in baselines:
        yield {"architecture": architecture, "fusion": BASELINE, "lambda": "", "predictor": predictor}
    for fusion, lam in compared_cells(finished_cells(summary), architecture).items():
        yield {"architecture": architecture, "fusion": fusion, "lambda": lam, "predictor": FUSED}


def table_row(row: Row, *cells: str) -> TableRow:
    """The row with its names below `NAMES`."""
    predictor = f"fused, {row['fusion']}" if row["predictor"] == FUSED else predictor_name(row["predictor"])
    names = row["architecture"], predictor, row["lambda"], str(row["seeds"])
    return TableRow((*names, *cells), group=row["architecture"])


def _costs(frame: pd.DataFrame) -> Row:
    values = {metric: of_metric["value"] for metric, of_metric in frame.groupby("metric")}
    if not {*MULTIPLES, "top1_percent"} <= values.keys():
        return {}
    counts = {name: int(values[name].iloc[0]) for name in MULTIPLES}
    return {"seeds": len(values["top1_percent"]), **counts, "top1_percent_mean": float(values["top1_percent"].mean())}
