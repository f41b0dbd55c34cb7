"""Sentences that figures of all parts share."""

from collections.abc import Iterable, Sequence


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
