"""Lines of equal certified error behind a panel of code length against risk."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Transform
from numpy.typing import NDArray

from certifuse.evaluation.bounds.confidence import occam_nats
from certifuse.evaluation.bounds.kl import binary_kl, kl_occam
from certifuse.reporting.plot import NICE_STEPS

ISO_LINE: dict[str, Any] = {"color": "#b8b8b8", "lw": 0.7, "zorder": 1}
TEXT: dict[str, Any] = {"color": "#6e6e6e", "size": "x-small", "ha": "center", "va": "center", "zorder": 1.5}
MOST_LINES = 10
POINTS = 200
STEP_PLACES = 20
INSIDE = (0.06, 0.94)
"""Where numbers may stand, in axes fractions."""


def iso_risk(certified: float, code_bits: float, examples: int, delta: float) -> float:
    """The empirical risk at which `kl_occam` gives `certified`, both fractions; nan where not even risk 0 would."""
    nats = occam_nats(code_bits, delta) / examples
    if binary_kl(0.0, certified) < nats:
        return math.nan
    inside, outside = 0.0, certified
    while inside < (middle := 0.5 * (inside + outside)) < outside:
        if binary_kl(middle, certified) >= nats:
            inside = middle
        else:
            outside = middle
    return inside


def draw_iso_lines(axes: Axes, examples: int, delta: float) -> None:
    """Draw them at round percentages, each with its number, behind what a panel (bits, percent) already shows.

    The limits of the axes must be set.
    """
    first, last = axes.get_xlim()
    low, high = (min(max(limit / 100, 0.0), 1.0) for limit in axes.get_ylim())
    least, most = 100 * kl_occam(low, 0.0, examples, delta), 100 * kl_occam(high, last, examples, delta)
    taken = _covered(axes)
    bits = _spread(axes, first, last)
    for percent in MaxNLocator(MOST_LINES, steps=NICE_STEPS).tick_values(least, most):
        if 0 < percent < 100:
            risks = np.array([100 * iso_risk(percent / 100, k, examples, delta) for k in bits])
            axes.plot(bits, risks, **ISO_LINE)
            _write_on(axes, np.column_stack([bits, risks]), f"{percent:g}%", taken)


def to_fractions(axes: Axes) -> Transform:
    """The transform from data to fractions of the axes, whose limits must be set."""
    return axes.transScale + axes.transLimits


def _covered(axes: Axes) -> list[NDArray[np.float64]]:
    """Places in axes fractions that the points and steps of a panel cover."""
    places: list[NDArray[np.float64]] = []
    for line in axes.lines:
        corners = np.asarray(to_fractions(axes).transform(line.get_xydata()), dtype=np.float64)
        places.extend(corners)
        if line.get_drawstyle() == "steps-post":
            for (x, y), (next_x, _) in pairwise(corners.tolist()):
                places.extend(np.array([place, y]) for place in np.linspace(x, next_x, STEP_PLACES))
    return places


def _spread(axes: Axes, first: float, last: float) -> NDArray[np.float64]:
    """Bits >= 0 at equal distances on the scaled axis."""
    start, stop = axes.transScale.transform([(first, 1.0), (last, 1.0)])[:, 0]
    scaled = np.column_stack([np.linspace(start, stop, POINTS), np.zeros(POINTS)])
    bits: NDArray[np.float64] = np.maximum(axes.transScale.inverted().transform(scaled)[:, 0], 0.0)
    return bits


def _write_on(axes: Axes, path: NDArray[np.float64], text: str, taken: list[NDArray[np.float64]]) -> None:
    """Write on the line where it is farthest from all places that are taken, and take that place."""
    places = to_fractions(axes).transform(path)
    low, high = INSIDE
    inside = places[np.all((places > low) & (places < high), axis=1)]
    if len(inside) == 0:
        return
    distances = np.full(len(inside), np.inf)
    for other in taken:
        distances = np.minimum(distances, np.linalg.norm(inside - other, axis=1))
    place = inside[int(distances.argmax())]
    taken.append(place)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    axes.text(float(place[0]), float(place[1]), text, transform=axes.transAxes, bbox=box, **TEXT)
