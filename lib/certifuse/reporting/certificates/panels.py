"""What the figures of the certificates share: the grid of panels, the look of a level or dimension, and notes."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from certifuse.reporting.certificates.frames import SUBSPACE, Panel
from certifuse.reporting.style import LINES, MARKERS, Look, new_panels, say_in
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.steps import FigureStep

MOST_COLUMNS = 3
TITLE_CHARACTERS = 44
ALONE = 1.6
"""Width of a panel without neighbours, in panels, so that legend and notes have room."""


def panel_grid(style: FigureSettings, count: int, height: float = 1.0) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, in as few rows as fit and of as equal a length as they can be."""
    rows = math.ceil(count / MOST_COLUMNS)
    columns = math.ceil(count / rows)
    figure, panels = new_panels(style, [ALONE if count == 1 else 1.0] * columns, [height] * rows)
    for axes in panels.ravel()[count:]:
        axes.remove()
    return figure, list(panels.ravel()[:count])


def title_panel(axes: Axes, name: str, *lines: str) -> None:
    """What the panel shows, wrapped to its width, and what is to be said of it."""
    axes.set_title("\n".join([*textwrap.wrap(name, TITLE_CHARACTERS), *lines]))


def label_first_column(axes_of_panels: Sequence[Axes], label: str) -> None:
    """The label of the y axis, at the left of every row."""
    for axes in axes_of_panels:
        place = axes.get_subplotspec()
        if place is not None and place.is_first_col():
            axes.set_ylabel(label)


def looks_in_order(values: Iterable[Any], style: FigureSettings) -> dict[Any, Look]:
    """A look for each value, by its rank: any one of colour, marker and line tells it apart from its neighbours.

    Where colours begin again, lines are one further.
    """
    looks = {}
    for rank, value in enumerate(sorted(set(values))):
        again, colour = divmod(rank, len(style.palette))
        looks[value] = Look(style.palette[colour], MARKERS[rank % len(MARKERS)], LINES[(rank + again) % len(LINES)])
    return looks


def nothing_to_draw(step: FigureStep, reason: str) -> Figure:
    """A figure that says why it shows nothing."""
    figure, axes = new_panels(step.style, [2], [1])
    axes[0, 0].set_axis_off()
    say_in(axes[0, 0], f"{step.study}: {reason}.")
    return figure


def mean_of(rows: pd.DataFrame, x: str, y: str) -> pd.Series:
    """The mean over seeds at every x that has a measurement, by rising x."""
    means: pd.Series = rows.dropna(subset=[y]).groupby(x)[y].mean()
    return means


# ---- notes ---------------------------------------------------------------------------------------


def sample_note(certificates: pd.DataFrame) -> str:
    """How large the certificate sample is and with what confidence a certificate holds."""
    deltas = " or ".join(f"{delta:g}" for delta in sorted(certificates["delta"].unique()))
    return f"n = {_counts(certificates['examples'])} images, δ = {deltas} for each certificate by itself."


def _counts(numbers: pd.Series) -> str:
    return " or ".join(f"{number:,}" for number in sorted(numbers.unique()))


def lambda_note(panels: Sequence[Panel]) -> str:
    """At which lambda the rules stand, with those that stand at another one."""
    lams = [panel.lam for panel in panels]
    usual = max(lams, key=lams.count)
    others = [f"{panel.architecture} {panel.fusion} at {panel.lam}" for panel in panels if panel.lam != usual]
    aside = f" ({', '.join(others)})" if others else ""
    return f"λ = {usual}{aside}."


def seeds_note(certificates: pd.DataFrame) -> list[str]:
    """That a mean over seeds certifies nothing; no sentence where there is one seed."""
    if certificates["seed"].nunique() < 2:
        return []
    return ["Lines join means over seeds, which certify nothing: a certificate is of one model."]


def held_out_note(certificates: pd.DataFrame) -> list[str]:
    """How large the held-out set is, and how many models lack a certificate on it."""
    if certificates.empty:
        return []
    lacking = int(certificates["held_out_bound_percent"].isna().sum())
    if lacking == len(certificates):
        return ["No held-out certificates: the study keeps no set that training and selection left alone."]
    size = f"Held-out certificates: {_counts(certificates['held_out_examples'].dropna())} other images, 0 bits."
    return [size, *([f"{lacking} of {len(certificates)} models have none."] if lacking else [])]


def gaps_note(certificates: pd.DataFrame, panels: Sequence[Panel]) -> list[str]:
    """How many (d, L) of the shown panels and seeds have no certificate; no sentence where all have one."""
    trained = certificates[certificates["kind"] == SUBSPACE]
    everything = len(trained[["d", "levels"]].drop_duplicates()) * trained["seed"].nunique() * len(panels)
    missing = everything - sum(len(panel.rows(certificates, SUBSPACE)) for panel in panels)
    why = "not asked for, or see missing_certificates.csv"
    return [f"{missing} of {everything} (d, L, seed) have no certificate: {why}."] if missing else []
