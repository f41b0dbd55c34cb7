"""Numbers as tables, figures and pages write them, and sentences that figures of all parts share."""

from collections.abc import Iterable, Sequence
from textwrap import shorten

from certifuse.evaluation.bounds.rounding import lower, upper

SMALLEST_P = 0.001
REASON_CHARACTERS = 90


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign, and a minus as wide as a plus; `digits` after the point."""
    return f"{value:+.{digits}f}".replace("-", "−")


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """An interval in brackets, with signs; nothing where there is none."""
    return "" if low is None or high is None else f"[{signed(low, digits)}, {signed(high, digits)}]"


def p_value(p: float | None) -> str:
    """Three digits, or that it is smaller; nothing where there is none."""
    if p is None:
        return ""
    return f"< {SMALLEST_P:g}" if p < SMALLEST_P else f"{p:.3f}"


def p_phrase(p: float | None) -> str:
    """A p-value as an equation or inequality; nothing where there is none."""
    text = p_value(p)
    return "" if not text else f"p {text}" if text.startswith("<") else f"p = {text}"


def mean_text(mean: float | None, low: float | None = None, high: float | None = None, digits: int = 3) -> str:
    """A mean, and its interval where there is one; nothing where there is no mean."""
    if mean is None:
        return ""
    around = "" if low is None or high is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{mean:.{digits}f}{around}"


def bound_text(mean: float | None, low: float | None = None, high: float | None = None, digits: int = 3) -> str:
    """An upper bound, or a mean of some, rounded up, and its interval outwards; nothing where there is no bound."""
    if mean is None:
        return ""
    around = "" if low is None or high is None else f" [{lower(low, digits)}, {upper(high, digits)}]"
    return f"{upper(mean, digits)}{around}"


def seeds_text(seeds: int, missing: int) -> str:
    """The number of seeds that there are, and of those asked for where some are missing."""
    return f"{seeds} of {seeds + missing}" if missing else str(seeds)


def missing_text(reason: str) -> str:
    """The reason why a row has no number."""
    return shorten(f"missing: {reason}", REASON_CHARACTERS, placeholder=" ...")


def whole(number: int | None) -> str:
    """A count with its thousands apart; nothing where there is none."""
    return "" if number is None else f"{number:,}"


def interval_note(confidence: float) -> str:
    """The meaning of the bars; `confidence` is a fraction."""
    return f"Bars: {100 * confidence:g}% t interval of the mean over seeds; a single seed has none."


def lambda_text(places: Sequence[tuple[str, str]]) -> str:
    """The lambda at which most stand, with those, by name, that stand at another one."""
    lams = [lam for _, lam in places]
    usual = max(lams, key=lams.count)
    others = [f"{name} at {lam}" for name, lam in places if lam != usual]
    return f"λ = {usual}" + (f" ({', '.join(others)})" if others else "")


def counts_text(numbers: Iterable[int]) -> str:
    """The different numbers, ascending: "100 or 2,000"."""
    return " or ".join(f"{number:,}" for number in sorted(set(numbers)))


def deltas_text(deltas: Iterable[float]) -> str:
    """The different confidence parameters, ascending."""
    return " or ".join(f"{delta:g}" for delta in sorted(set(deltas)))
