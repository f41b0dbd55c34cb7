"""The price of a hypothesis in nats and the checks of the evidence, shared by every inequality.

Occam's razor: give hypothesis h, whose message is `code_bits` long, the share delta 2^-code_bits of the failure
probability. The shares of a prefix code sum to at most delta (Kraft), so an inequality that holds for one fixed
hypothesis at confidence 1 - delta 2^-code_bits holds for all of them at once at confidence 1 - delta.
"""

import math


def occam_nats(code_bits: float, delta: float) -> float:
    """ln(1 / (delta 2^-code_bits)) in nats; `code_bits` is the ledger's total K, `delta` in (0, 1)."""
    check_code(code_bits, delta)
    return code_bits * math.log(2.0) - math.log(delta)


def check_code(code_bits: float, delta: float) -> None:
    """ValueError unless 0 <= code_bits < inf and 0 < delta < 1."""
    if not (0.0 <= code_bits < math.inf):
        raise ValueError(f"code_bits: expected a finite number >= 0, got {code_bits!r}")
    if not (0.0 < delta < 1.0):
        raise ValueError(f"delta: expected a number strictly between 0 and 1, got {delta!r}")


def check_subsample(code_bits: float, examples: int, subsample: int, delta: float, *, least: int = 1) -> None:
    """`check_code`, and ValueError unless both counts are at least `least`."""
    check_code(code_bits, delta)
    check_count("examples", examples, least)
    check_count("subsample", subsample, least)


def check_unit_risk(risk: float) -> None:
    """ValueError unless 0 <= risk <= 1 (an error rate as a fraction, not a percentage)."""
    if not (0.0 <= risk <= 1.0):
        raise ValueError(f"risk: expected a fraction between 0 and 1, got {risk!r}")


def check_count(name: str, count: int, least: int) -> None:
    """ValueError unless `count` >= `least`."""
    if count < least:
        raise ValueError(f"{name}: expected an integer >= {least}, got {count!r}")
