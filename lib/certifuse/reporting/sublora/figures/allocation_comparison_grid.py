"""The modes of all budgets that have several, side by side: risk, bounds, size, and the paired improvement."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from certifuse.reporting import plot
from certifuse.reporting.frames import Frames
from certifuse.reporting.notes import interval_note
from certifuse.reporting.sublora import notes, panels
from certifuse.reporting.sublora.choice import HEADLINE, PUBLISHED, compared_rows, size_kb
from certifuse.reporting.sublora.contrasts import paired
from certifuse.reporting.sublora.frames import compared_budgets, modes_at, of_modes
from certifuse.reporting.sublora.modes import BASELINES, NULLS, is_allocation, mode_label, modes_in_order
from certifuse.reporting.text import signed
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.steps.reporting import DrawFigure

WIDTH, ROW_IN, AXES_IN, LABELS_IN = 1.15, 0.4, 0.65, 0.9
SPREAD = 0.66
"""Share of a row over which the budgets are set one below the other."""

HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
WHITE: dict[str, Any] = {"bbox": {"fc": "white", "ec": "none", "pad": 0.8}, "zorder": 5}
INTERVAL: dict[str, Any] = {"lw": 0.9, "zorder": 2}


@dataclass(frozen=True, eq=False)
class Place:
    """One mode at one budget: its height in all panels, its look, and its certificates."""

    mode: str
    d: int
    y: float
    height: float
    look: plot.Look
    hatch: str
    rows: pd.DataFrame


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """Four panels with a row per mode and a look per budget; every seed, means and intervals."""
    compared = {d: _compared(frames, d) for d in compared_budgets(frames)}
    if all(rows.empty for rows in compared.values()):
        raise notes.nothing_to_show("no allocation has a certificate yet", frames.missing)
    everything = pd.concat(compared.values())
    modes = modes_in_order({mode for d in compared for mode in modes_at(frames, d) if mode not in NULLS})
    places = list(_places(compared, modes, plot.looks_in_order(compared, step.style)))
    heights = [(ROW_IN * len(modes) + AXES_IN) / step.style.panel_height_in] * 2
    figure, grid = plot.new_panels(step.style, [WIDTH, WIDTH], heights, LABELS_IN, sharey=True)
    (risk, bound), (size, gain) = grid
    vacuous = panels.draw_vacuous(bound, everything, step.style, vertical=True)
    _draw_points(risk, places, ["risk_bpd"], step)
    _draw_points(bound, places, [HEADLINE, PUBLISHED], step, vacuous)
    _draw_bars(size, places, [place.rows["size_kb"] for place in places], step)
    reference = _reference(everything, modes)
    _draw_bars(gain, places, [_gains_percent(place.mode, compared[place.d], reference) for place in places], step)
    for place in places:
        if place.rows.empty:
            risk.text(0.02, place.y, notes.reason_of(frames, place.d, place.mode), **_said(risk))
    labels = (
        panels.RISK_LABEL,
        panels.BOUND_LABEL,
        panels.SIZE_LABEL,
        f"our bound below that of {mode_label(reference)} (%)",
    )
    titles = ("risk", "bounds", "compressed size", "relative improvement")
    for axes, label, title in zip(grid.ravel(), labels, titles, strict=True):
        axes.set(xlabel=label, title=title)
        axes.grid(axis="y", visible=False)
    for axes in grid[:, 0]:
        axes.set_yticks(range(len(modes)), [mode_label(mode) for mode in modes])
        axes.set_ylim(len(modes) - 0.5, -0.5)
        axes.set_ylabel("allocation")
    return plot.finish(
        figure,
        _handles(compared, everything, step.style),
        _notes(frames, everything, list(compared), step),
        step.style,
        digits=True,
    )


def _compared(frames: Frames, d: int) -> pd.DataFrame:
    rows = of_modes(compared_rows(frames.metrics, d), lambda mode: mode not in NULLS)
    return rows.assign(size_kb=size_kb(rows["code_bits"]))


def _reference(rows: pd.DataFrame, modes: Sequence[str]) -> str:
    """The baseline with most certificates, of equal ones the first; the first mode where the study has no baseline."""
    counts = rows["mode"].value_counts()
    return max((name for name in BASELINES if name in modes), key=lambda name: counts.get(name, 0), default=modes[0])


def _places(compared: dict[int, pd.DataFrame], modes: Sequence[str], looks: dict[Any, plot.Look]) -> Iterator[Place]:
    share = SPREAD / len(compared)
    for row, mode in enumerate(modes):
        for rank, (d, rows) in enumerate(compared.items()):
            y = row + (rank + 0.5) * share - SPREAD / 2
            yield Place(mode, d, y, share, looks[d], HATCHES[rank % len(HATCHES)], rows[rows["mode"] == mode])


def _gains_percent(mode: str, rows: pd.DataFrame, reference: str) -> pd.Series:
    """Percent of the reference's bound by which the mode's bound is lower, for every seed that has both."""
    if mode == reference:
        return pd.Series(dtype="float64")
    pairs = paired(rows, mode, reference, HEADLINE)
    return 100 * (1 - pairs[mode] / pairs[reference])


def _draw_points(
    axes: Axes, places: Sequence[Place], columns: Sequence[str], step: DrawFigure, highest: float | None = None
) -> None:
    """Seeds, means and intervals; the first column is filled."""
    shown = _of_allocations(places, [pd.concat([place.rows[name] for name in columns]) for place in places])
    axes.set_xlim(plot.view_of([*shown, *([] if highest is None else [highest])], 0.06))
    for place in places:
        for number, column in enumerate(columns):
            face = place.look.colour if number == 0 else "white"
            _draw_values(axes, place, place.rows[column], step, {"marker": place.look.marker, "mfc": face})


def _draw_bars(axes: Axes, places: Sequence[Place], values: Sequence[pd.Series], step: DrawFigure) -> None:
    """Bars from zero, with seeds and intervals."""
    shown = _of_allocations(places, values)
    low, high = plot.view_of([0.0, *shown], 0.12)
    axes.set_xlim(low if min(shown, default=0.0) < 0 else 0.0, high)
    axes.axvline(0, color=step.style.baseline_colour, lw=0.8)
    for place, of_place in zip(places, values, strict=True):
        if len(of_place):
            bar: dict[str, Any] = {"height": 0.85 * place.height, "lw": 0.6, "hatch": place.hatch, "alpha": 0.55}
            axes.barh([place.y], [of_place.mean()], color=place.look.colour, edgecolor="white", **bar)
            _draw_values(axes, place, of_place, step, {"marker": "|"})


def _of_allocations(places: Sequence[Place], values: Sequence[pd.Series]) -> list[float]:
    """The values of the allocations, which a panel is scaled to; those of all modes where there are none."""
    chosen = [of_place for place, of_place in zip(places, values, strict=True) if is_allocation(place.mode)]
    return [value for of_place in chosen for value in of_place] or [value for of_place in values for value in of_place]


def _draw_values(axes: Axes, place: Place, values: pd.Series, step: DrawFigure, mark: dict[str, Any]) -> None:
    """Seeds, mean and interval; of a mean outside the panel its value, at the edge."""
    if values.empty:
        return
    mean, half = float(values.mean()), panels.half_width(values, step.confidence)
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
    """The setting of a text in a row: its place is a share of the panel's width, and the height of the row."""
    return {"transform": axes.get_yaxis_transform(), "ha": "left", "va": "center", "fontsize": "x-small", **WHITE}


def _handles(budgets: dict[int, pd.DataFrame], metrics: pd.DataFrame, style: FigureSettings) -> list[Line2D]:
    looks, grey = plot.looks_in_order(budgets, style), style.baseline_colour
    series = {"our bound (and risk)": grey, "published bound": "white"}
    return [
        *(plot.entry(f"d = {d:,}", color=looks[d].colour, marker=looks[d].marker, ms=5.5) for d in budgets),
        *(plot.entry(label, color=grey, marker="o", ms=5.5, mfc=face) for label, face in series.items()),
        panels.vacuous_handle(metrics, style),
    ]


def _notes(frames: Frames, rows: pd.DataFrame, budgets: Sequence[int], step: DrawFigure) -> list[str]:
    return [
        notes.sample_note(rows),
        *notes.levels_note(frames, budgets),
        "Small points: seeds.",
        interval_note(step.confidence),
        "Bars that leave a panel are cut. The improvement is paired by seed.",
        *notes.seeds_note(rows),
        *notes.missing_note(frames),
    ]
