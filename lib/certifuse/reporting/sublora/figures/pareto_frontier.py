"""Complexity against risk of every way to divide one budget: which of them no other beats in both."""

from matplotlib.figure import Figure

from certifuse.reporting import plot
from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.frontier import draw_frontier
from certifuse.reporting.sublora import notes, panels
from certifuse.reporting.sublora.choice import compared_levels, mean_points
from certifuse.reporting.sublora.frames import allocated_rows, study_modes
from certifuse.reporting.sublora.modes import mode_legend, mode_looks, modes_in_order
from certifuse.reporting.text import interval_note
from certifuse.study.steps.reporting import DrawFigure

X, Y = "kl_nats", "risk_bpd"
HEIGHT = 1.15


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel per number of levels: every seed, means with intervals, and the frontier of the means."""
    rows, grey = allocated_rows(frames.metrics, step.d), step.style.baseline_colour
    if rows.empty:
        raise notes.nothing_at(frames, step.d, "certificate of an allocation")
    looks = mode_looks(study_modes(frames), step.style)
    titles = {levels: f"d = {step.d:,}, L = {levels}" for levels in sorted(rows["levels"].unique())}
    if len(titles) > 1:
        titles[compared_levels(frames.metrics, step.d)] += " (lowest mean bound)"
    figure, places = plot.panel_grid(step.style, list(titles.values()), panels.RISK_LABEL, HEIGHT)
    for axes, levels in zip(places, titles, strict=True):
        shown = rows_with(rows, levels=levels)
        panels.linear_axis(axes, list(shown[X]))
        axes.set_ylim(plot.view_of(shown[Y], 0.1))
        for mode in modes_in_order(shown["mode"]):
            panels.draw_seeds_and_mean(axes, rows_with(shown, mode=mode), X, Y, looks[mode], step.confidence)
        draw_frontier(axes, mean_points(shown, [X, Y]), X, Y, color=grey, **panels.FRONTIER)
        axes.set_xlabel(panels.KL_LABEL)
    legend = mode_legend(rows["mode"], looks) | {"frontier of the means": {"color": grey, **panels.FRONTIER}}
    sentences = [
        notes.sample_note(rows),
        "Small points: seeds.",
        interval_note(step.confidence),
        "Bars that leave a panel are cut.",
        "At one d and L the codes are nearly of one length: scales differ between panels and do not begin at 0.",
        notes.missing_note(frames, step.d),
    ]
    return plot.finish(figure, legend, sentences, step.style, digits=True)
