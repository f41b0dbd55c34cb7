"""Certified error against test error: how much each kind of certificate gives away."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from certifuse.evaluation.bounds.binomial import clopper_pearson
from certifuse.reporting import plot
from certifuse.reporting.cells import compared_cells, fusions_of
from certifuse.reporting.certificates import notes
from certifuse.reporting.certificates.choice import FAMILY, best_per
from certifuse.reporting.certificates.frames import JOINT, PRIOR, SUBSPACE, families_of, family_rows, family_title
from certifuse.reporting.drawing import NothingToShowError
from certifuse.reporting.frames import Frames
from certifuse.reporting.notes import counts_text
from certifuse.study.settings.figures import FigureSettings
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


SERIES = (
    Series(PRIOR, "bound_percent", "prior (sample, 0 bits)", True),
    Series(JOINT, "held_out_bound_percent", "joint model (held out, 0 bits)", False),
    Series(SUBSPACE, "bound_percent", "best subspace (sample, K bits)", True),
)


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel per architecture and split scheme, one mark per model; on the diagonal nothing is given away."""
    certificates = frames.certificates
    families = families_of(certificates)
    models = {family: shown_models(certificates, *family) for family in families}
    points = pd.concat([_points(rows) for rows in models.values()]) if models else pd.DataFrame(columns=["x", "y"])
    if points.dropna().empty:
        raise NothingToShowError("no model has both a certificate and a test error yet")
    figure, places = plot.panel_grid(step.style, len(families), HEIGHT)
    intervals = pd.concat([test_interval_percent(rows, step.confidence) for rows in models.values()])
    x_limits = plot.view_of([*intervals["low"].dropna(), *intervals["high"].dropna()], 0.06, highest=100.0)
    y_limits = plot.view_of([*points.dropna()["y"], points["x"].min()], 0.06, highest=100.0)
    for axes, (family, rows) in zip(places, models.items(), strict=True):
        for series in SERIES:
            _draw_kind(axes, rows[rows["kind"] == series.kind], series, step)
        axes.plot([0, 100], [0, 100], color=step.style.baseline_colour, **DIAGONAL)
        axes.set(xlim=x_limits, ylim=y_limits, xlabel="test error (%)")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        plot.title_panel(axes, family_title(certificates, *family))
    plot.label_first_column(places, "certified error (%)")
    shown = pd.concat(models.values())
    return plot.finish(figure, _handles(shown, step.style), _notes(shown, step), step.style)


def shown_models(certificates: pd.DataFrame, scheme: str, architecture: str) -> pd.DataFrame:
    """Priors, joint models, and of each rule and seed the trained subspace with the lowest bound.

    Rules stand at the lambda where they are compared.
    """
    priors, joint, trained = (
        family_rows(certificates, kind, scheme, architecture) for kind in (PRIOR, JOINT, SUBSPACE)
    )
    of_rules = pd.concat([joint, trained])
    at = of_rules["fusion"].map(compared_cells(of_rules, architecture))
    of_rules = of_rules[of_rules["lambda"] == at]
    best = best_per(of_rules[of_rules["kind"] == SUBSPACE], FAMILY)
    return pd.concat([priors, of_rules[of_rules["kind"] == JOINT], best])


def test_interval_percent(rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Columns `low` and `high`: two-sided Clopper-Pearson interval of the test error, NaN where there is none."""
    return pd.DataFrame([_interval(row, (1 - confidence) / 2) for row in rows.to_dict("records")], index=rows.index)


def _interval(row: Mapping[Any, Any], tail: float) -> dict[str, float]:
    if pd.isna(row["test_examples"]) or pd.isna(row["test_errors"]):
        return {"low": float("nan"), "high": float("nan")}
    errors, examples = int(row["test_errors"]), int(row["test_examples"])
    return {
        "low": 100 * (1 - clopper_pearson(examples - errors, examples, tail)),
        "high": 100 * clopper_pearson(errors, examples, tail),
    }


def _points(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns `x` and `y` of every model, NaN where it has no such measurement."""
    y = pd.concat([rows.loc[rows["kind"] == series.kind, series.column] for series in SERIES])
    return pd.DataFrame({"x": rows["test_percent"], "y": y})


def _draw_kind(axes: Axes, rows: pd.DataFrame, series: Series, step: DrawFigure) -> None:
    """One mark per model, with the interval of its test error."""
    measured = rows.dropna(subset=["test_percent", series.column])
    intervals = test_interval_percent(measured, step.confidence)
    for index, row in measured.iterrows():
        look = plot.fusion_look(row["fusion"], step.style)
        colour = step.style.baseline_colour if series.kind == PRIOR else look.colour
        low, high = intervals.loc[index, ["low", "high"]]
        axes.plot([low, high], [row[series.column]] * 2, color=colour, lw=0.8, zorder=2)
        axes.plot([row["test_percent"]], [row[series.column]], ls="", **_mark(series, look.marker, colour))


def _mark(series: Series, marker: str, colour: str) -> dict[str, Any]:
    """A star for a prior, which has no rule; else the rule's marker, filled or open by the kind."""
    shape = (
        {"marker": "*", "ms": 9.0, "zorder": 4} if series.kind == PRIOR else {"marker": marker, "ms": 5.5, "zorder": 3}
    )
    return {**shape, "mec": colour, "mew": 1.0, "mfc": colour if series.filled else "white"}


def _handles(shown: pd.DataFrame, style: FigureSettings) -> list[Line2D]:
    grey = style.baseline_colour
    handles = plot.fusion_handles(fusions_of(shown[shown["kind"] != PRIOR]), style, ls="")
    for series in SERIES:
        if shown.loc[shown["kind"] == series.kind, [series.column, "test_percent"]].notna().all(axis=1).any():
            handles.append(plot.entry(series.label, **_mark(series, "o", grey)))
    return [*handles, plot.entry("certified error = test error", color=grey, **DIAGONAL)]


def _notes(shown: pd.DataFrame, step: DrawFigure) -> list[str]:
    tests = counts_text(shown["test_examples"].dropna())
    lams = sorted(set(shown["lambda"]) - {""}, key=float)
    return [
        notes.sample_note(shown),
        *notes.held_out_note(shown[shown["kind"] == JOINT]),
        f"Bars: {100 * step.confidence:g}% Clopper-Pearson interval of the test error on {tests} images.",
        *([f"Rules at λ = {', '.join(lams)}."] if lams else []),
        *_absent(shown),
    ]


def _absent(shown: pd.DataFrame) -> list[str]:
    """Models that are not drawn, and why; no sentence where all are."""
    said = []
    for series in SERIES:
        rows = shown[shown["kind"] == series.kind]
        lacking = int(rows[[series.column, "test_percent"]].isna().any(axis=1).sum())
        if rows.empty:
            said.append(f"No {series.kind} certificate was made.")
        elif lacking:
            said.append(f"{lacking} of {len(rows)} of kind {series.kind} lack a certificate or test error.")
    return said
