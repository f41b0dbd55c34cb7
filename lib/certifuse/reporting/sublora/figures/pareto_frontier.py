"""Complexity against risk of every way to divide one budget: which of them no other beats in both."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from certifuse.reporting import plot
from certifuse.reporting.choice import unbeaten
from certifuse.reporting.frames import Frames
from certifuse.reporting.notes import interval_note
from certifuse.reporting.sublora import notes, panels
from certifuse.reporting.sublora.choice import compared_levels, mean_points
from certifuse.reporting.sublora.frames import allocated_rows, study_modes
from certifuse.reporting.sublora.modes import ModeLook, mode_handles, mode_looks, modes_in_order
from certifuse.study.steps.reporting import DrawFigure

X, Y = "kl_nats", "risk_bpd"
HEIGHT = 1.15


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel per number of levels: every seed, means with intervals, and the frontier of the means."""
    budget = step.d
    rows = allocated_rows(frames.metrics, budget)
    if rows.empty:
        raise notes.nothing_at(frames, budget, "certificate of an allocation")
    looks = mode_looks(study_modes(frames), step.style)
    levels = sorted(rows["levels"].unique())
    compared = compared_levels(frames.metrics, budget)
    figure, places = plot.panel_grid(step.style, len(levels), HEIGHT)
    for axes, number in zip(places, levels, strict=True):
        _draw_levels(axes, rows[rows["levels"] == number], looks, step)
        best = " (lowest mean bound)" if number == compared and len(levels) > 1 else ""
        axes.set_title(f"d = {budget:,}, L = {number}{best}")
    plot.label_first_column(places, panels.RISK_LABEL)
    frontier = plot.entry("frontier of the means", color=step.style.baseline_colour, **panels.FRONTIER)
    sentences = [
        notes.sample_note(rows),
        "Small points: seeds.",
        interval_note(step.confidence),
        "Bars that leave a panel are cut.",
        "At one d and L the codes are nearly of one length: scales differ between panels and do not begin at 0.",
        *notes.missing_note(frames, budget),
    ]
    return plot.finish(
        figure, [*mode_handles(modes_in_order(rows["mode"]), looks), frontier], sentences, step.style, digits=True
    )


def _draw_levels(axes: Axes, rows: pd.DataFrame, looks: dict[str, ModeLook], step: DrawFigure) -> None:
    panels.linear_axis(axes, list(rows[X]))
    axes.set_ylim(plot.view_of(rows[Y], 0.1))
    for mode in modes_in_order(rows["mode"]):
        panels.draw_seeds_and_mean(axes, rows[rows["mode"] == mode], X, Y, looks[mode], step.confidence)
    panels.draw_frontier(axes, unbeaten(mean_points(rows, [X, Y]), X, Y), X, Y, step.style)
    axes.set_xlabel(panels.KL_LABEL)
