"""Numbers as a bound has to be printed, by exact fractions."""

import math
from fractions import Fraction


def rounded_up(value: float, digits: int) -> str:
    """The least number of so many digits that is not below a value, which stands for its shortest decimal."""
    return f"{math.ceil(Fraction(repr(float(value))) * 10**digits) / 10**digits:.{digits}f}"


def rounded_down(value: float, digits: int) -> str:
    """The largest that is not above it."""
    return f"{math.floor(Fraction(repr(float(value))) * 10**digits) / 10**digits:.{digits}f}"


def column_of(tex: str, header: str) -> list[str]:
    """The cells of a column of a LaTeX table, from the top; remarks and rules have none."""
    lines = [line.partition(r" \\")[0] for line in tex.splitlines() if " & " in line]
    rows = [[cell.strip() for cell in line.split(" & ")] for line in lines]
    place = rows[0].index(header)
    return [row[place] for row in rows if len(row) == len(rows[0]) and row != rows[0]]
