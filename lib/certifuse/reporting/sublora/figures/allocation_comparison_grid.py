"""The modes of all budgets that have several, side by side: risk, bounds, size, and the paired improvement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from certifuse.reporting import plot
from certifuse.reporting.estimates import half_width
from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.sublora import notes, panels
from certifuse.reporting.sublora.choice import HEADLINE, PUBLISHED, compared_rows, with_size
from certifuse.reporting.sublora.frames import compared_budgets, modes_at, of_modes
from certifuse.reporting.sublora.modes import BASELINES, NULLS, is_allocation, mode_label, modes_in_order
from certifuse.reporting.text import interval_note, signed
from certifuse.study.steps.reporting import DrawFigure

WIDTH, ROW_IN, AXES_IN, LABELS_IN = 1.15, 0.4, 0.65, 0.9
SPREAD = 0.66
"""Share of a row over which the budgets are set one below the other."""

HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
INTERVAL: dict[str, Any] = {"lw": 0.9, "zorder": 2}


@dataclass(frozen=True, eq=False)
class Place:
    """One mode at one budget: its height in all panels, its look, and its certificates."""

    mode: str
    d: int
    y: float
    look: plot.Look
    hatch: str
    rows: pd.DataFrame


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """Four panels with a row per mode and a look per budget; every seed, means and intervals."""
    compared = {d: with_size(compared_rows(frames.metrics, d)) for d in compared_budgets(frames)}
    compared = {d: of_modes(rows, lambda mode: mode not in NULLS) for d, rows in compared.items()}
    everything, grey = pd.concat(compared.values()), step.style.baseline_colour
    if everything.empty:
        raise notes.nothing_to_show("no allocation has a certificate yet", frames.missing)
    modes = modes_in_order({mode for d in compared for mode in modes_at(frames, d) if mode not in NULLS})
    reference = _reference(everything, modes)
    looks, offsets = plot.looks_in_order(compared, step.style), plot.side_by_side(len(compared), SPREAD)
    compared = {d: rows.assign(gain_percent=_gains_percent(rows, reference)) for d, rows in compared.items()}
    places = [
        Place(mode, d, row + offsets[rank], looks[d], HATCHES[rank % len(HATCHES)], rows_with(rows, mode=mode))
        for row, mode in enumerate(modes)
        for rank, (d, rows) in enumerate(compared.items())
    ]
    heights = [(ROW_IN * len(modes) + AXES_IN) / step.style.panel_height_in] * 2
    figure, grid = plot.new_panels(step.style, [WIDTH, WIDTH], heights, LABELS_IN, sharey=True)
    (risk, bound), (size, gain) = grid
    vacuous = panels.draw_vacuous(bound, everything, step.style, vertical=True)
    _draw_points(risk, places, ["risk_bpd"], step, [])
    _draw_points(bound, places, [HEADLINE, PUBLISHED], step, [vacuous])
    for axes, column in ((size, "size_kb"), (gain, "gain_percent")):
        _draw_bars(axes, places, column, 0.85 * SPREAD / len(compared), step)
    for place in places:
        if place.rows.empty:
            risk.text(0.02, place.y, notes.reason_of(frames, place.d, place.mode), **_said(risk))
    titles = {
        "risk": panels.RISK_LABEL,
        "bounds": panels.BOUND_LABEL,
        "compressed size": panels.SIZE_LABEL,
        "relative improvement": f"our bound below that of {mode_label(reference)} (%)",
    }
    for axes, (title, label) in zip(grid.ravel(), titles.items(), strict=True):
        axes.set(xlabel=label, title=title)
        axes.grid(axis="y", visible=False)
    for axes in grid[:, 0]:
        plot.row_axis(axes, [mode_label(mode) for mode in modes], "allocation")
    legend = {f"d = {d:,}": look.points | {"ms": 5.5} for d, look in looks.items()}
    for label, face in (("our bound (and risk)", grey), ("published bound", "white")):
        legend[label] = {"color": grey, "marker": "o", "ms": 5.5, "mfc": face}
    legend |= panels.vacuous_entry(everything, step.style)
    sentences = [
        notes.sample_note(everything),
        notes.levels_note(frames, list(compared)),
        "Small points: seeds.",
        interval_note(step.confidence),
        "Bars that leave a panel are cut. The improvement is paired by seed.",
        notes.seeds_note(everything),
        notes.missing_note(frames),
    ]
    return plot.finish(figure, legend, sentences, step.style, digits=True)


def _reference(rows: pd.DataFrame, modes: Sequence[str]) -> str:
    """The baseline with most certificates, of equal ones the first; the first mode where the study has no baseline."""
    counts = rows["mode"].value_counts()
    return max((name for name in BASELINES if name in modes), key=lambda name: counts.get(name, 0), default=modes[0])


def _gains_percent(rows: pd.DataFrame, reference: str) -> pd.Series:
    """Percent of the reference's bound, at the same seed, by which the bounds of the other modes are lower."""
    bounds = rows_with(rows, mode=reference).set_index("seed")[HEADLINE]
    gains: pd.Series = 100 * (1 - rows[HEADLINE] / rows["seed"].map(bounds))
    return gains.where(rows["mode"] != reference)


def _draw_points(
    axes: Axes, places: Sequence[Place], columns: Sequence[str], step: DrawFigure, others: Sequence[float]
) -> None:
    """Seeds, means and intervals, of the first column filled; the panel shows `others` too."""
    axes.set_xlim(plot.view_of([*_of_allocations(places, columns), *others], 0.06))
    for place in places:
        for column, face in zip(columns, (place.look.colour, "white"), strict=False):
            _draw_values(axes, place, place.rows[column], step, {"marker": place.look.marker, "mfc": face})


def _draw_bars(axes: Axes, places: Sequence[Place], column: str, height: float, step: DrawFigure) -> None:
    """Bars from zero, with seeds and intervals."""
    shown = _of_allocations(places, [column])
    low, high = plot.view_of([0.0, *shown], 0.12)
    axes.set_xlim(low if min(shown, default=0.0) < 0 else 0.0, high)
    axes.axvline(0, color=step.style.baseline_colour, lw=0.8)
    for place in places:
        values = place.rows[column].dropna()
        if len(values):
            bar: dict[str, Any] = {"height": height, "lw": 0.6, "hatch": place.hatch, "alpha": 0.55}
            axes.barh([place.y], [values.mean()], color=place.look.colour, edgecolor="white", **bar)
            _draw_values(axes, place, values, step, {"marker": "|"})


def _of_allocations(places: Sequence[Place], columns: Sequence[str]) -> list[float]:
    """The values of the allocations, which a panel is scaled to; those of all modes where there are none."""
    shown = pd.concat([place.rows for place in places])
    allocated = of_modes(shown, is_allocation)[[*columns]].stack().dropna()
    return list(allocated if len(allocated) else shown[[*columns]].stack().dropna())


def _draw_values(axes: Axes, place: Place, values: pd.Series, step: DrawFigure, mark: dict[str, Any]) -> None:
    """Seeds, mean and interval; of a mean outside the panel its value, at the edge."""
    if values.empty:
        return
    mean, half = float(values.mean()), half_width(values, step.confidence)
    colour, (low, high) = place.look.colour, axes.get_xlim()
    if mean > high:
        axes.text(0.98, place.y, f"{mean:.2f} ▸", **_said(axes) | {"ha": "right"})
    elif mean < low:
        axes.text(0.02, place.y, f"◂ {signed(mean, 2)}", **_said(axes))
    else:
        axes.plot([mean - half, mean + half], [place.y, place.y], color=colour, **INTERVAL)
        axes.plot([mean], [place.y], ls="", ms=5.5, mec=colour, mew=0.9, zorder=3, **mark)
        axes.plot(values, [place.y] * len(values), **plot.seed_points(colour))


def _said(axes: Axes) -> dict[str, Any]:
    white = {"bbox": {"fc": "white", "ec": "none", "pad": 0.8}, "zorder": 5}
    return plot.in_row(axes, ha="left", fontsize="x-small", **white)
