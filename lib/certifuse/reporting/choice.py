"""The points of a figure that no other one beats."""

import pandas as pd


def unbeaten(points: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """The rows that no other one beats in both columns at once, by rising x (and so by falling y)."""
    ordered = points.sort_values([x, y], kind="stable")
    least_before = ordered[y].astype("float64").cummin().shift(fill_value=float("inf"))
    return ordered[ordered[y] < least_before]
