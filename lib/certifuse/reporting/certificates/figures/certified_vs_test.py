"""Certified error against test error: how much each kind of certificate gives away."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from certifuse.evaluation.bounds.binomial import clopper_pearson
from certifuse.reporting import plot
from certifuse.reporting.cells import compared_cells, fusions_of
from certifuse.reporting.certificates import notes
from certifuse.reporting.certificates.choice import FAMILY, best_per
from certifuse.reporting.certificates.frames import JOINT, PRIOR, SUBSPACE, families_of, family_title
from certifuse.reporting.drawing import NothingToShowError
from certifuse.reporting.frames import Frames, records, rows_with
from certifuse.reporting.text import counts_text
from certifuse.study.steps.reporting import DrawFigure

HEIGHT = 1.25
DIAGONAL: dict[str, Any] = {"ls": (0, (1, 1.5)), "lw": 1.0, "zorder": 1}


@dataclass(frozen=True)
class Series:
    """One kind of certificate: whose it is, its column, and its face; rules have the markers of all figures."""

    kind: str
    column: str
    label: str
    filled: bool

    def measured(self, models: pd.DataFrame) -> pd.DataFrame:
        """The models of this kind that have both a certificate and a test error."""
        return rows_with(models, kind=self.kind).dropna(subset=["test_percent", self.column])

    def mark(self, marker: str, colour: str) -> dict[str, Any]:
        """A star for a prior, which has no rule; else the rule's marker, filled or open by the kind."""
        shape = {"marker": marker, "ms": 5.5, "zorder": 3}
        if self.kind == PRIOR:
            shape = {"marker": "*", "ms": 9.0, "zorder": 4}
        return {**shape, "mec": colour, "mew": 1.0, "mfc": colour if self.filled else "white"}


SERIES = (
    Series(PRIOR, "bound_percent", "prior (sample, 0 bits)", True),
    Series(JOINT, "held_out_bound_percent", "joint model (held out, 0 bits)", False),
    Series(SUBSPACE, "bound_percent", "best subspace (sample, K bits)", True),
)


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel per architecture and split scheme, one mark per model; on the diagonal nothing is given away."""
    certificates, grey = frames.certificates, step.style.baseline_colour
    models = {family: shown_models(certificates, *family) for family in families_of(certificates)}
    shown = pd.concat([certificates[:0], *models.values()])
    certified = [value for one in SERIES for value in one.measured(shown)[one.column]]
    if not certified:
        raise NothingToShowError("no model has both a certificate and a test error yet")
    tested = test_interval_percent(shown, step.confidence).dropna()
    x_limits = plot.view_of([*tested["low"], *tested["high"]], 0.06, highest=100.0)
    y_limits = plot.view_of([*certified, shown["test_percent"].min()], 0.06, highest=100.0)
    titles = [family_title(certificates, *family) for family in models]
    figure, places = plot.panel_grid(step.style, titles, "certified error (%)", HEIGHT)
    for axes, rows in zip(places, models.values(), strict=True):
        for series in SERIES:
            _draw_kind(axes, series, series.measured(rows), step)
        axes.plot([0, 100], [0, 100], color=grey, **DIAGONAL)
        axes.set(xlim=x_limits, ylim=y_limits, xlabel="test error (%)")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    lams = sorted(set(shown["lambda"]) - {""}, key=float)
    sentences = [
        notes.sample_note(shown),
        notes.held_out_note(rows_with(shown, kind=JOINT)),
        f"Bars: {100 * step.confidence:g}% Clopper-Pearson interval of the test error on "
        f"{counts_text(shown['test_examples'].dropna())} images.",
        f"Rules at λ = {', '.join(lams)}." if lams else "",
        *(_absent(shown, series) for series in SERIES),
    ]
    legend = plot.fusion_legend(fusions_of(shown[shown["kind"] != PRIOR]), step.style, ls="")
    legend |= {one.label: one.mark("o", grey) for one in SERIES if not one.measured(shown).empty}
    legend["certified error = test error"] = {"color": grey, **DIAGONAL}
    return plot.finish(figure, legend, sentences, step.style)


def shown_models(certificates: pd.DataFrame, scheme: str, architecture: str) -> pd.DataFrame:
    """Priors, joint models, and of each rule and seed the trained subspace with the lowest bound.

    Rules stand at the lambda where they are compared.
    """
    of_family = rows_with(certificates, scheme=scheme, architecture=architecture)
    priors, of_rules = of_family[of_family["kind"] == PRIOR], of_family[of_family["kind"] != PRIOR]
    at = of_rules["fusion"].map(compared_cells(of_rules, architecture))
    of_rules = of_rules[of_rules["lambda"] == at]
    return pd.concat([priors, rows_with(of_rules, kind=JOINT), best_per(rows_with(of_rules, kind=SUBSPACE), FAMILY)])


def test_interval_percent(rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Columns `low` and `high`: two-sided Clopper-Pearson interval of the test error, NaN where there is none."""
    tail = (1 - confidence) / 2
    intervals = [(math.nan, math.nan)] * len(rows)
    for place, (errors, examples) in enumerate(zip(rows["test_errors"], rows["test_examples"], strict=True)):
        if not (pd.isna(errors) or pd.isna(examples)):
            low = 100 * (1 - clopper_pearson(int(examples - errors), int(examples), tail))
            intervals[place] = low, 100 * clopper_pearson(int(errors), int(examples), tail)
    return pd.DataFrame(intervals, columns=["low", "high"], index=rows.index)


def _draw_kind(axes: Axes, series: Series, measured: pd.DataFrame, step: DrawFigure) -> None:
    """One mark per model, with the interval of its test error."""
    for row in records(measured.join(test_interval_percent(measured, step.confidence))):
        look = plot.fusion_look(row["fusion"], step.style)
        colour = step.style.baseline_colour if series.kind == PRIOR else look.colour
        axes.plot([row["low"], row["high"]], [row[series.column]] * 2, color=colour, lw=0.8, zorder=2)
        axes.plot([row["test_percent"]], [row[series.column]], ls="", **series.mark(look.marker, colour))


def _absent(shown: pd.DataFrame, series: Series) -> str:
    """The models of a kind that are not drawn, and why; no sentence where all are."""
    rows = rows_with(shown, kind=series.kind)
    if rows.empty:
        return f"No {series.kind} certificate was made."
    lacking = len(rows) - len(series.measured(rows))
    return f"{lacking} of {len(rows)} of kind {series.kind} lack a certificate or test error." if lacking else ""
