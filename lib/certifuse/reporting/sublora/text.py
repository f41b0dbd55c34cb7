"""How the SubLoRA study writes numbers: signs, intervals, p-values."""

from certifuse.reporting.sublora.contrasts import MeanTest

SMALLEST_P = 0.001


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


def estimate_text(test: MeanTest, unit: str, digits: int = 3) -> str:
    """Estimate, interval, unit and adjusted p-value in one phrase."""
    estimate = " ".join(filter(None, (signed(test.mean, digits), interval(test.low, test.high, digits), unit)))
    return ", ".join(filter(None, (estimate, p_phrase(test.p_holm))))


def mean_text(mean: float | None, low: float | None, high: float | None, digits: int = 3) -> str:
    """A mean, and its interval where there is one."""
    if mean is None:
        return ""
    around = "" if low is None or high is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{mean:.{digits}f}{around}"
