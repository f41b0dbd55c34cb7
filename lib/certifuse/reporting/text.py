"""How tables, figures and pages write numbers: signs, intervals, p-values."""

from textwrap import shorten

SMALLEST_P = 0.001
REASON_CHARACTERS = 90


def signed(value: float, digits: int = 3) -> str:
    """With its sign, and a minus as wide as a plus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """In brackets, with signs; nothing where there is none."""
    return "" if low is None or high is None else f"[{signed(low, digits)}, {signed(high, digits)}]"


def p_value(p: float | None) -> str:
    """Three digits, or that it is smaller; nothing where there is none."""
    if p is None:
        return ""
    return f"< {SMALLEST_P:g}" if p < SMALLEST_P else f"{p:.3f}"


def p_phrase(p: float | None) -> str:
    """As an equation or inequality; nothing where there is none."""
    text = p_value(p)
    return "" if not text else f"p {text}" if text.startswith("<") else f"p = {text}"


def mean_text(mean: float | None, low: float | None = None, high: float | None = None, digits: int = 3) -> str:
    """A mean, and its interval where there is one; nothing where there is no mean."""
    if mean is None:
        return ""
    around = "" if low is None or high is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{mean:.{digits}f}{around}"


def seeds_text(seeds: int, missing: int) -> str:
    """How many seeds there are, of how many that were asked for."""
    return f"{seeds} of {seeds + missing}" if missing else str(seeds)


def missing_text(reason: str) -> str:
    """Why a row has no number."""
    return shorten(f"missing: {reason}", REASON_CHARACTERS, placeholder=" ...")


def whole(number: int | None) -> str:
    """A count with its thousands apart; nothing where there is none."""
    return "" if number is None else f"{number:,}"
