"""The look of figures and their saving: one settings slice in, equal bytes for equal inputs out."""

import io
import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from certifuse.base.files import write_bytes
from certifuse.evaluation.statistics import MeanInterval
from certifuse.reporting.order import place_of_fusion
from certifuse.study.settings.figures import FigureSettings

MOST_COLUMNS = 3
TITLE_CHARACTERS = 44
ALONE = 1.6
"""Width of a panel without neighbours, in panels, so that legend and notes have room."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)), (0, (8, 2)), (0, (3, 1, 3, 3)))
NICE_STEPS = [1, 2, 2.5, 5, 10]
"""Multiples of a power of ten by which ticks are apart."""

GRID_COLOUR = "#d9d9d9"
DIGITS_WIDER = 0.93
"""Share of a figure's width that is given to a note that is full of digits."""

NOTE_SCALE = 0.85
"""Size of notes, ticks and legends relative to the base font."""


RING: dict[str, Any] = {"ls": "", "marker": "o", "ms": 9.5, "mfc": "none", "mew": 1.0}
"""Around a point that is spoken of."""


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of what a figure compares: any one of them tells it apart."""

    colour: str
    marker: str
    line: Any


def fusion_look(fusion: str, style: FigureSettings) -> Look:
    """The look of a rule is that of its place, so it is the same in every figure."""
    place = place_of_fusion(fusion)
    return Look(style.palette[place % len(style.palette)], MARKERS[place % len(MARKERS)], LINES[place % len(LINES)])


def fusion_handles(fusions: Sequence[str], style: FigureSettings, **change: Any) -> list[Line2D]:
    """The legend entries of the rules; `change` replaces properties of the lines."""
    looks = {fusion: fusion_look(fusion, style) for fusion in fusions}
    return [
        Line2D(
            [], [], **({"color": look.colour, "marker": look.marker, "ls": look.line, "ms": 5} | change), label=fusion
        )
        for fusion, look in looks.items()
    ]


def looks_in_order(values: Iterable[Any], style: FigureSettings) -> dict[Any, Look]:
    """A look for each value, by its rank: any one of colour, marker and line tells it apart from its neighbours.

    Where colours begin again, lines are one further.
    """
    looks = {}
    for rank, value in enumerate(sorted(set(values))):
        again, colour = divmod(rank, len(style.palette))
        looks[value] = Look(style.palette[colour], MARKERS[rank % len(MARKERS)], LINES[(rank + again) % len(LINES)])
    return looks


def entry(label: str, **line: Any) -> Line2D:
    """An entry of a legend; without a line style only a mark."""
    return Line2D([], [], **{"ls": ""} | line, label=label)


@contextmanager
def styled(style: FigureSettings) -> Iterator[None]:
    """Matplotlib's own defaults with this style on top, whatever the user's matplotlibrc says."""
    small = NOTE_SCALE * style.font_size_pt
    settings = {
        "font.size": style.font_size_pt,
        "axes.titlesize": style.font_size_pt,
        "axes.labelsize": style.font_size_pt,
        "xtick.labelsize": small,
        "ytick.labelsize": small,
        "legend.fontsize": small,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID_COLOUR,
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.2,
        "pdf.fonttype": 42,
    }
    with matplotlib.style.context(["default", settings]):
        yield


def new_panels(
    style: FigureSettings, widths: Sequence[float], heights: Sequence[float], labels_in: float = 0.0, **subplots: Any
) -> tuple[Figure, Any]:
    """A figure and its array of axes, shape (number of heights, number of widths).

    Args:
        style: gives the size of a panel and the resolution.
        widths: of each column, in units of the style's panel.
        heights: of each row, in units of the style's panel.
        labels_in: inches added to the width for long row labels.
        subplots: further arguments of matplotlib's `Figure.subplots`.
    """
    size = (style.panel_width_in * sum(widths) + labels_in, style.panel_height_in * sum(heights))
    figure = Figure(figsize=size, layout="constrained", dpi=style.dpi)
    FigureCanvasAgg(figure)
    ratios = {"width_ratios": list(widths), "height_ratios": list(heights)}
    return figure, figure.subplots(len(heights), len(widths), squeeze=False, gridspec_kw=ratios, **subplots)


def panel_grid(style: FigureSettings, count: int, height: float = 1.0) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, in as few rows as fit and of as equal a length as they can be.

    `height` is in units of the style's panel. The panels come row by row.
    """
    rows = math.ceil(count / MOST_COLUMNS)
    columns = math.ceil(count / rows)
    figure, panels = new_panels(style, [ALONE if count == 1 else 1.0] * columns, [height] * rows)
    for axes in panels.ravel()[count:]:
        axes.remove()
    return figure, list(panels.ravel()[:count])


def title_panel(axes: Axes, name: str, *lines: str) -> None:
    """Write above the panel its name, wrapped to its width, and `lines` on what is to be said of it."""
    axes.set_title("\n".join([*textwrap.wrap(name, TITLE_CHARACTERS), *lines]))


def label_first_column(axes_of_panels: Sequence[Axes], label: str) -> None:
    """Write the label of the y axis at the left of every row."""
    for axes in axes_of_panels:
        place = axes.get_subplotspec()
        if place is not None and place.is_first_col():
            axes.set_ylabel(label)


def architecture_columns(
    style: FigureSettings, widths: Sequence[float], rows: int, height: float
) -> tuple[Figure, Any]:
    """Panels indexed by [row, architecture]; the rows of a single architecture stand side by side in pairs."""
    if len(widths) > 1 or rows % 2:
        return new_panels(style, widths, [height] * rows)
    figure, panels = new_panels(style, [1.0, 1.0], [height] * (rows // 2))
    return figure, panels.reshape(rows, 1)


def label_rows(figure: Figure, panels: Any, labels: Sequence[str]) -> None:
    """Write the label of each row of panels on the y axis of its first panel."""
    for axes, label in zip(panels[:, 0], labels, strict=True):
        axes.set_ylabel(label)
    figure.align_ylabels()


def legend_above(figure: Figure, handles: Sequence[Line2D], style: FigureSettings) -> None:
    """One legend over all panels, in as many columns as fit, which grows the figure by its height."""
    entry_in = (max(len(str(handle.get_label())) for handle in handles) * 0.52 + 5.5) * _small_in(style)
    rows = math.ceil(len(handles) / max(1, int(figure.get_figwidth() / entry_in)))
    figure.set_figheight(figure.get_figheight() + (1.5 * rows + 1) * _small_in(style))
    columns = math.ceil(len(handles) / rows)
    figure.legend(handles=list(handles), loc="outside upper center", ncols=columns, handlelength=3.2)


def note_below(figure: Figure, sentences: Sequence[str], style: FigureSettings, digits: bool = False) -> None:
    """Write under all panels what the reader must know to read the figure, which grows by the height of it.

    `digits`: the sentences are full of digits, which are wide.
    """
    width = figure.get_figwidth() * (DIGITS_WIDER if digits else 1.0)
    lines = textwrap.wrap(" ".join(sentences), max(int(width / (0.53 * _small_in(style))), 30))
    figure.set_figheight(figure.get_figheight() + (1.2 * len(lines) + 1) * _small_in(style))
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=NOTE_SCALE * style.font_size_pt, color="#333333")


def finish(
    figure: Figure, handles: Sequence[Line2D], sentences: Sequence[str], style: FigureSettings, digits: bool = False
) -> Figure:
    """The figure with its legend above and its notes below; `digits`: the notes are full of digits, which are wide."""
    if handles:
        legend_above(figure, handles, style)
    note_below(figure, sentences, style, digits)
    return figure


def _small_in(style: FigureSettings) -> float:
    """Size of the small font, inches."""
    return NOTE_SCALE * style.font_size_pt / 72


@dataclass(frozen=True)
class Series:
    """One measurement that is drawn for everything that a figure compares: its column, its line, and its mark."""

    column: str
    label: str
    line: Any
    size: float
    filled: bool = True
    width: float = 1.2

    def look(self, colour: str, marker: str) -> dict[str, Any]:
        """Its line and marks in a colour; what is open has a white face."""
        shape = {"ls": self.line, "lw": self.width, "marker": marker, "ms": self.size, "mew": 0.9}
        return {"color": colour, "mfc": colour if self.filled else "white", **shape}


def draw_estimate(
    axes: Axes, values: Iterable[float], height: float, found: MeanInterval, colour: str, **mark: Any
) -> None:
    """A row of a dot plot: all values as ticks, their mean as a mark, its interval over seeds as a bar.

    `height` is the y of the row in data coordinates, `found` the estimate of the values, `mark` the mean's look.
    """
    if found.low is not None and found.high is not None:
        axes.plot([found.low, found.high], [height, height], color=colour, lw=0.9, zorder=2)
    shown = list(values)
    axes.plot(shown, [height] * len(shown), ls="", marker="|", ms=8, mew=0.7, color=colour, zorder=2)
    axes.plot([found.mean], [height], ls="", ms=5.5, zorder=3, **mark)


def lambda_axis(axes: Axes, lambdas: Sequence[str]) -> None:
    """Set the lambdas at equal distances along x, the first at 0 and one unit apart."""
    axes.set_xlabel("loss weight λ")
    axes.set_xticks(range(len(lambdas)), lambdas)
    axes.set_xlim(-0.5, len(lambdas) - 0.5)
    axes.grid(axis="x", visible=False)


def seed_points(colour: str) -> dict[str, Any]:
    """The look of single seeds: small dots with a white rim, which show on top of means and bars."""
    return {"ls": "", "marker": "o", "ms": 2.8, "mfc": colour, "mec": "white", "mew": 0.5, "zorder": 4}


def view_of(values: Iterable[float], margin: float = 0.12, highest: float = math.inf) -> tuple[float, float]:
    """Limits of an axis that shows these values with a margin, so that a wide interval does not squeeze them.

    Nothing above `highest` is shown but half a margin, so that a mark on it is whole.
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    pad = margin * (high - low) or 0.05 * abs(high) or 0.05
    return low - pad, min(high + pad, highest + pad / 2)


def say_in(axes: Axes, text: str) -> None:
    """Write into an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", wrap=True, color="#333333")


def save(figure: Figure, path: Path, style: FigureSettings) -> None:
    """Write PNG or PDF by the suffix, atomically and without the hour or the version that made it."""
    kind = path.suffix.removeprefix(".")
    metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}[kind]
    with styled(style):
        drawn = io.BytesIO()
        figure.savefig(drawn, format=kind, metadata=metadata)
    write_bytes(path, drawn.getvalue())
