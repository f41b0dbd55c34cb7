"""Betting bounds: a mean is refuted when a gambler who doubts it would have grown rich on the data."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certifuse.evaluation.bounds.bernstein import bernstein_penalty, deviation_upper
from certifuse.evaluation.bounds.confidence import check_subsample, occam_nats
from certifuse.evaluation.bounds.evidence import DocumentEvidence, ErrorCounts, LossInequality, LossSample

SOURCE = "betting with diversified stakes (Waudby-Smith, Ramdas 2024)"

STAKES = np.append(1.0 / (1.0 + np.exp(-np.arange(-12.0, 12.0, 0.25))), 1.0)
"""Fractions of the capital staked at every round; dense near 0 (small effects) and near 1 (losses near 0)."""

MANY, GRID = 1 << 13, 1 << 16
"""More losses than that are put on a grid of so many steps of their range: it costs a step at most, and the time of a
bound no longer grows with their number."""


def log_capital(losses: NDArray[np.float64], counts: NDArray[np.float64], mean: float) -> float:
    """ln of the capital, averaged over `STAKES`, won against the claim E[loss] >= mean; losses in [0, 1].

    Each of `losses` (n,) occurs as often as `counts` (n,) says; `mean` is below 1. A stake c
    multiplies the capital by 1 - c + c (1 - loss) / (1 - mean): a non-negative number, at most 1 in expectation when
    the claim is true, and growing in `mean`.
    """
    gains = (1.0 - losses) / (1.0 - mean) - 1.0
    with np.errstate(divide="ignore"):
        log_growth = counts @ np.log1p(np.maximum(gains[:, None] * STAKES[None, :], -1.0))
    best = float(log_growth.max())
    return best + math.log(float(np.exp(log_growth - best).mean())) if best > -math.inf else best


def _distinct(losses: ArrayLike, counts: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The distinct losses that occur, and how often; ValueError where one lies outside [0, 1]."""
    given = np.asarray(losses, dtype=np.float64).ravel()
    repeats = np.ones(given.shape) if counts is None else np.asarray(counts, dtype=np.float64).ravel()
    values, inverse = np.unique(given[repeats > 0], return_inverse=True)
    if values.size == 0 or not (values[0] >= 0.0 and values[-1] <= 1.0):
        raise ValueError("losses: expected at least one number, all between 0 and 1")
    return values, np.bincount(inverse, weights=repeats[repeats > 0]).astype(np.float64)


def betting_occam(
    losses: ArrayLike, code_bits: float, delta: float, counts: ArrayLike | None = None, tolerance: float = 1e-9
) -> float:
    """Upper bound on the true risk, in [0, 1], from the losses themselves (any values in [0, 1]).

    sup {mean : capital(mean) < 2^code_bits / delta}, by Markov's inequality on the betting capital (Waudby-Smith and
    Ramdas 2024, arXiv 2010.09686, Section 4, with bets diversified over fixed stakes instead of predicted ones, so
    that the order of the examples does not matter) and Occam's union. The capital grows with the mean, so
    bisection finds the supremum. Its cost is distinct losses x 97 stakes per step.

    Args:
        losses: (n,), independent, each in [0, 1].
        code_bits: total K of the ledger.
        delta: probability, in (0, 1), with which the bound may fail.
        counts: (n,), how often each of `losses` occurs; once where it is None.
        tolerance: what the supremum is rounded up by at most.

    Raises:
        ValueError: no loss, or one outside [0, 1].
    """
    values, repeats = _distinct(losses, counts)
    log_target = occam_nats(code_bits, delta)
    inside, outside = float(values @ repeats / repeats.sum()), 1.0
    while outside - inside > tolerance:
        middle = 0.5 * (inside + outside)
        if log_capital(values, repeats, middle) < log_target:
            inside = middle
        else:
            outside = middle
    return outside


def betting_occam_subsampled(
    losses: ArrayLike, code_bits: float, examples: int, delta: float, low: float = 0.0, width: float = 1.0
) -> float:
    """Upper bound on the true risk from losses in [low, low + width] drawn with replacement from `examples`.

    As `bernstein_occam_subsampled`, with the mean of the examples bounded by betting on the draws instead of by
    Bernstein's inequality; the step to the true risk stays empirical Bernstein, whose deviation the draws bound.
    """
    drawn = np.asarray(losses, dtype=np.float64).ravel()
    check_subsample(code_bits, examples, drawn.size, delta, least=2)
    share = drawn.size / (drawn.size + examples)
    half = 0.5 * (1.0 - share) * delta
    empirical = low + width * betting_occam((drawn - low) / width, 0.0, half)
    sigma = deviation_upper(float(drawn.std(ddof=1)), drawn.size, half, width)
    return empirical + bernstein_penalty(
        sigma * math.sqrt(examples / (examples - 1)), code_bits, examples, share * delta, width
    )


def zero_one(seen: ErrorCounts, code_bits: float, delta: float) -> float:
    """The bound from the two values that the loss has, each as often as it occurs."""
    return betting_occam((0.0, 1.0), code_bits, delta, (seen.examples - seen.errors, seen.errors))


def documents(seen: DocumentEvidence, code_bits: float, delta: float) -> float | None:
    """The bound in BPD from the losses one by one; None where only their mean is known."""
    (low, width), losses = seen.range, seen.losses
    if losses is None:
        return None
    if seen.subsample is None:
        return low + width * betting_occam((losses - low) / width, code_bits, delta)
    return betting_occam_subsampled(losses, code_bits, seen.documents, delta, low, width)


def _drawn(sample: LossSample, code_bits: float, delta: float) -> float:
    return betting_occam_subsampled(sample.losses, code_bits, sample.examples, delta, sample.low, sample.width)


def _drawn_mean(sample: LossSample, delta: float) -> float:
    return sample.from_unit(betting_occam(sample.unit_losses, 0.0, delta / 2.0, tolerance=1e-6))


def _whole(sample: LossSample, code_bits: float, delta: float) -> float:
    """From more than `MANY` losses, with each rounded up to a grid: larger losses have a larger mean, so it holds."""
    unit = sample.unit_losses
    if unit.size > MANY:
        unit = np.ceil(unit * GRID) / GRID
    return sample.from_unit(betting_occam(unit, code_bits, delta, tolerance=1e-6))


LOSSES = LossInequality(_drawn, _drawn_mean, _whole)
