"""Complexity against risk of every way to divide one budget: which of them no other beats in both."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from certifuse.reporting.choice import unbeaten
from certifuse.reporting.frames import Frames
from certifuse.reporting.notes import interval_note
from certifuse.reporting.style import entry, label_first_column, legend_above, panel_grid, view_of
from certifuse.reporting.sublora.choice import compared_levels, mean_points
from certifuse.reporting.sublora.frames import allocated_rows, study_modes
from certifuse.reporting.sublora.modes import ModeLook, mode_handles, mode_looks, modes_in_order
from certifuse.reporting.sublora.notes import missing_note, note_under, nothing_at, sample_note
from certifuse.reporting.sublora.panels import (
    FRONTIER,
    KL_LABEL,
    RISK_LABEL,
    draw_frontier,
    draw_seeds_and_mean,
    linear_axis,
)
from certifuse.study.steps.reporting import DrawFigure

X, Y = "kl_nats", "risk_bpd"
HEIGHT = 1.15


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel per number of levels: every seed, means with intervals, and the frontier of the means."""
    budget = step.d
    rows = allocated_rows(frames.metrics, budget)
    if rows.empty:
        raise nothing_at(frames, budget, "certificate of an allocation")
    looks = mode_looks(study_modes(frames), step.style)
    levels = sorted(rows["levels"].unique())
    compared = compared_levels(frames.metrics, budget)
    figure, places = panel_grid(step.style, len(levels), HEIGHT)
    for axes, number in zip(places, levels, strict=True):
        _draw_levels(axes, rows[rows["levels"] == number], looks, step)
        best = " (lowest mean bound)" if number == compared and len(levels) > 1 else ""
        axes.set_title(f"d = {budget:,}, L = {number}{best}")
    label_first_column(places, RISK_LABEL)
    frontier = entry("frontier of the means", color=step.style.baseline_colour, **FRONTIER)
    legend_above(figure, [*mode_handles(modes_in_order(rows["mode"]), looks), frontier], step.style)
    notes = [
        sample_note(rows),
        "Small points: seeds.",
        interval_note(step.confidence),
        "Bars that leave a panel are cut.",
        "At one d and L the codes are nearly of one length: scales differ between panels and do not begin at 0.",
        *missing_note(frames, budget),
    ]
    note_under(figure, notes, step.style)
    return figure


def _draw_levels(axes: Axes, rows: pd.DataFrame, looks: dict[str, ModeLook], step: DrawFigure) -> None:
    linear_axis(axes, list(rows[X]))
    axes.set_ylim(view_of(rows[Y], 0.1))
    for mode in modes_in_order(rows["mode"]):
        draw_seeds_and_mean(axes, rows[rows["mode"] == mode], X, Y, looks[mode], step.confidence)
    draw_frontier(axes, unbeaten(mean_points(rows, [X, Y]), X, Y), X, Y, step.style)
    axes.set_xlabel(KL_LABEL)
