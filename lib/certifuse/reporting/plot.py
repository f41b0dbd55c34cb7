"""The look of figures and their saving: one settings slice in, equal bytes for equal inputs out."""

import io
import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from certifuse.base.files import write_bytes
from certifuse.reporting.cells import place_of_fusion
from certifuse.study.settings.figures import FigureSettings

MOST_COLUMNS = 3
TITLE_CHARACTERS = 44
ALONE = 1.6
"""Width of a panel without neighbours, in panels, so that legend and notes have room."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)), (0, (8, 2)), (0, (3, 1, 3, 3)))
NICE_STEPS = [1, 2, 2.5, 5, 10]
"""Multiples of a power of ten by which ticks are apart."""

Legend = dict[str, dict[str, Any]]
"""The entries of a legend: by their labels the properties of their lines; without a line style only a mark."""

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
    filled: bool = True

    @property
    def mark(self) -> dict[str, Any]:
        """The properties of the mark of a mean; what is not filled has a white face."""
        face = self.colour if self.filled else "white"
        return {"marker": self.marker, "color": self.colour, "mfc": face, "mew": 0.9}

    @property
    def points(self) -> dict[str, Any]:
        """The properties of points in the colour and with the marker."""
        return {"color": self.colour, "marker": self.marker, "ms": 5}

    @property
    def joined(self) -> dict[str, Any]:
        """The same of points that its line joins."""
        return self.points | {"ls": self.line}


def fusion_look(fusion: str, style: FigureSettings) -> Look:
    """The look of a rule is that of its place, so it is the same in every figure."""
    place = place_of_fusion(fusion)
    return Look(style.palette[place % len(style.palette)], MARKERS[place % len(MARKERS)], LINES[place % len(LINES)])


def fusion_legend(fusions: Sequence[str], style: FigureSettings, **change: Any) -> Legend:
    """The legend entries of the rules; `change` replaces properties of the lines."""
    return {fusion: fusion_look(fusion, style).joined | change for fusion in fusions}


def looks_in_order(values: Iterable[Any], style: FigureSettings) -> dict[Any, Look]:
    """A look for each value, by its rank: any one of colour, marker and line tells it apart from its neighbours.

    Where colours begin again, lines are one further.
    """
    looks = {}
    for rank, value in enumerate(sorted(set(values))):
        again, colour = divmod(rank, len(style.palette))
        looks[value] = Look(style.palette[colour], MARKERS[rank % len(MARKERS)], LINES[(rank + again) % len(LINES)])
    return looks


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

    Widths of columns and heights of rows are in units of the style's panel; `labels_in` inches are added to the width
    for long row labels; `subplots` are further arguments of matplotlib's `Figure.subplots`.
    """
    size = (style.panel_width_in * sum(widths) + labels_in, style.panel_height_in * sum(heights))
    figure = Figure(figsize=size, layout="constrained", dpi=style.dpi)
    FigureCanvasAgg(figure)
    ratios = {"width_ratios": list(widths), "height_ratios": list(heights)}
    return figure, figure.subplots(len(heights), len(widths), squeeze=False, gridspec_kw=ratios, **subplots)


def panel_grid(style: FigureSettings, titles: Sequence[str], label: str, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each title, in as few rows as fit and of as equal a length as they can be.

    `label` stands on the y axis at the left of every row, `height` is in units of the style's panel. The first line of
    a title is wrapped to the width of its panel. The panels come row by row.
    """
    rows = math.ceil(len(titles) / MOST_COLUMNS)
    columns = math.ceil(len(titles) / rows)
    figure, panels = new_panels(style, [ALONE if len(titles) == 1 else 1.0] * columns, [height] * rows)
    shown, left_over = np.split(panels.ravel(), [len(titles)])
    for axes in left_over:
        axes.remove()
    for axes, title in zip(shown, titles, strict=True):
        name, *lines = title.split("\n")
        axes.set_title("\n".join([*textwrap.wrap(name, TITLE_CHARACTERS), *lines]))
    for axes in panels[:, 0]:
        axes.set_ylabel(label)
    return figure, list(shown)


def architecture_grid(
    style: FigureSettings, widths: Mapping[str, float], labels: Sequence[str], height: float
) -> tuple[Figure, Any]:
    """Panels indexed by [row, architecture], with the architectures above and the labels of the rows at the left.

    An even number of rows of a single architecture stand side by side in pairs. Widths and height are in units of the
    style's panel.
    """
    if len(widths) > 1 or len(labels) % 2:
        figure, panels = new_panels(style, [*widths.values()], [height] * len(labels))
    else:
        figure, panels = new_panels(style, [1.0, 1.0], [height] * (len(labels) // 2))
        panels = panels.reshape(len(labels), 1)
    for axes, architecture in zip(panels[0], widths, strict=True):
        axes.set_title(architecture)
    for axes, label in zip(panels[:, 0], labels, strict=True):
        axes.set_ylabel(label)
    figure.align_ylabels()
    return figure, panels


def finish(
    figure: Figure, legend: Legend, sentences: Sequence[str], style: FigureSettings, digits: bool = False
) -> Figure:
    """The figure with one legend above all panels and its notes below, by the height of which it grows.

    `sentences` are what the reader must know to read the figure, empty ones are none; `digits`: they are full of
    digits, which are wide.
    """
    small_in = NOTE_SCALE * style.font_size_pt / 72
    width = figure.get_figwidth()
    if legend:
        entry_in = (max(map(len, legend)) * 0.52 + 5.5) * small_in
        rows = math.ceil(len(legend) / max(1, int(width / entry_in)))
        figure.set_figheight(figure.get_figheight() + (1.5 * rows + 1) * small_in)
        only_mark: dict[str, Any] = {"ls": ""}
        handles = [Line2D([], [], **only_mark | line, label=label) for label, line in legend.items()]
        columns = math.ceil(len(handles) / rows)
        figure.legend(handles=handles, loc="outside upper center", ncols=columns, handlelength=3.2)
    characters = int(width * (DIGITS_WIDER if digits else 1.0) / (0.53 * small_in))
    lines = textwrap.wrap(" ".join(filter(None, sentences)), max(characters, 30))
    figure.set_figheight(figure.get_figheight() + (1.2 * len(lines) + 1) * small_in)
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=NOTE_SCALE * style.font_size_pt, color="#333333")
    return figure


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


def equidistant_axis(axes: Axes, places: Sequence[str], label: str = "loss weight λ") -> None:
    """Set the places, which are lambdas by default, at equal distances along x, the first at 0 and one unit apart."""
    axes.set_xlabel(label)
    axes.set_xticks(range(len(places)), places)
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.grid(axis="x", visible=False)


def side_by_side(count: int, spread: float) -> list[float]:
    """The distances of so many places from their middle, that are even and fill the width `spread`."""
    return [spread * ((rank + 0.5) / count - 0.5) for rank in range(count)]


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


def row_axis(axes: Axes, rows: Sequence[str], label: str) -> None:
    """Name the rows along y, the first at 0 and at the top, one unit apart."""
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_ylabel(label)


def in_row(axes: Axes, **change: Any) -> dict[str, Any]:
    """The setting of a text in a row: its x is a share of the panel's width, its y the place of the row."""
    centred = {"transform": axes.get_yaxis_transform(), "ha": "center", "va": "center", "fontsize": "small"}
    return centred | change


def say_in(axes: Axes, text: str) -> None:
    """Write into an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", wrap=True, color="#333333")


def save(figure: Figure, path: Path, style: FigureSettings) -> None:
    """Write PNG or PDF by the suffix, atomically and without the hour or the version that made it.

    The label of the figure, where it has one, is the description that a PNG carries.
    """
    kind = path.suffix.removeprefix(".")
    label = {"Description": str(figure.get_label())} if figure.get_label() else {}
    metadata = {
        "png": {"Software": None, **label},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }[kind]
    with styled(style):
        drawn = io.BytesIO()
        figure.savefig(drawn, format=kind, metadata=metadata)
    write_bytes(path, drawn.getvalue())
