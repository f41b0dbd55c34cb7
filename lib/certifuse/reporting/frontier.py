"""The points of a panel that no other one beats."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes


def unbeaten(points: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """The rows that no other one beats in both columns at once, by rising x (and so by falling y)."""
    ordered = points.sort_values([x, y], kind="stable")
    least_before = ordered[y].astype("float64").cummin().shift(fill_value=float("inf"))
    return ordered[ordered[y] < least_before]


def draw_frontier(axes: Axes, points: pd.DataFrame, x: str, y: str, **line: Any) -> pd.DataFrame:
    """Steps through the points that none beats, on to the right edge of the panel, whose limits must be set.

    Returns these points.
    """
    frontier = unbeaten(points, x, y)
    if not frontier.empty:
        xs, ys = [*frontier[x], axes.get_xlim()[1]], [*frontier[y], frontier[y].iloc[-1]]
        axes.plot(xs, ys, drawstyle="steps-post", **line)
    return frontier
