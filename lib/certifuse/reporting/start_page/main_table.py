"""The main table: every rule where rules are compared, beside what was never fused, with its worth and its cost."""

from certifuse.reporting.cells import architectures_of
from certifuse.reporting.estimates import estimate
from certifuse.reporting.frames import Frames, records, rows_with
from certifuse.reporting.fusion.costs import cost_rows, costed
from certifuse.reporting.fusion.training_costs import training_cost_rows
from certifuse.reporting.predictors import FINETUNED, FUSED, PRETRAINED, SINGLE, WIDER, predictor_name
from certifuse.reporting.start_page.captions import MAIN
from certifuse.reporting.start_page.grids import Entry, Grid
from certifuse.reporting.tables import Row
from certifuse.reporting.text import interval, mean_text, signed

HEADERS = (
    *("architecture", "predictor", "λ", "seeds", "top-1 (%)", "minus fine-tuned average (points)"),
    *("parameters of one expert", "training (min)"),
)
NAMES = ("architecture", "fusion", "lambda", "predictor")


def main_table(frames: Frames, confidence: float) -> Grid:
    """A row for each predictor that has a top-1 accuracy."""
    costs = {tuple(row[name] for name in NAMES): row for row in cost_rows(frames.summary)}
    trained = {tuple(row[name] for name in NAMES): row for row in training_cost_rows(frames.summary, frames.costs)}
    rows = []
    for architecture in architectures_of(frames.summary):
        for names in costed(frames.summary, architecture, (SINGLE, WIDER, PRETRAINED, FINETUNED)):
            key = tuple(names[name] for name in NAMES)
            if entries := _entries(frames, names, confidence):
                multiple = costs.get(key, {}).get("parameters_of_one_expert")
                minutes = trained.get(key, {}).get("training_min")
                rows.append([*entries, Entry(mean_text(multiple, digits=2), multiple), _minutes(minutes)])
    return Grid("main", MAIN, HEADERS, rows)


def _entries(frames: Frames, names: Row, confidence: float) -> list[Entry]:
    scores = rows_with(frames.summary, **names, metric="top1_percent")["value"]
    found = estimate(scores, confidence)
    if found is None:
        return []
    fused = names["predictor"] == FUSED
    called = names["fusion"] if fused else predictor_name(names["predictor"])
    return [
        Entry(names["architecture"]),
        Entry(called),
        Entry(names["lambda"], float(names["lambda"]) if names["lambda"] else None),
        Entry(str(found.n), found.n),
        Entry(mean_text(found.mean, found.low, found.high, 2), found.mean),
        _difference(frames, names) if fused else Entry(""),
    ]


def _difference(frames: Frames, names: Row) -> Entry:
    compared = records(rows_with(frames.comparison, **names, level="cell", baseline=FINETUNED))
    if not compared:
        return Entry("")
    (row,) = compared
    around = interval(row["low_points"], row["high_points"], 2)
    return Entry(f"{signed(row['difference_points'], 2)} {around}", row["difference_points"])


def _minutes(minutes: float | None) -> Entry:
    return Entry("" if minutes is None else f"{minutes:,.2f}", minutes)
