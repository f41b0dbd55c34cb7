"""Betting twice: the draws of a subsample bet on what betting on all examples would have earned.

`betting_occam_subsampled` steps from the examples to the true risk by empirical Bernstein, which pays for the range
of the loss 7/3 times over, because it has to bound a variance as well. Here no mean and no variance stands between
the two steps.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from certifuse.evaluation.bounds.betting import betting_occam
from certifuse.evaluation.bounds.confidence import check_subsample, occam_nats
from certifuse.evaluation.bounds.evidence import LossInequality, LossSample

Floats = NDArray[np.float64]

STAKES = 1.0 / (1.0 + np.exp(-np.arange(-8.0, 6.5, 0.5)))
"""Fractions staked on each of the examples; below 1, so that no single example ruins the gambler."""
DRAW_STAKES = np.append(STAKES, 1.0)
"""Fractions staked on each draw. Half of the second capital stakes everything, which losses that hardly differ reward;
the rest is spread evenly over the other fractions."""
LOG_WEIGHTS = np.log(np.append(np.full(STAKES.size, 0.5 / STAKES.size), 0.5))
BRENT_LIMIT = 50.0
"""What the evidence is cut to while its root is looked for, in nats: far from the root it would mislead the secant."""


def log_evidence(losses: Floats, counts: Floats, mean: float, nats_per_example: float) -> float:
    """ln of the capital won on the draws against the claim E[loss] >= `mean`; growing in `mean`.

    With the stake c the examples multiply a capital by exp(g) each, g(x) = ln(1 - c + c (1 - x) / (1 - mean)). If the
    claim is true they earn at most `nats_per_example` on average, for every c at once. A draw x doubts that: it
    multiplies a second capital by 1 + b (g(x) - nats_per_example) / (nats_per_example - ln(1 - c)), which is at most 1
    in expectation. The capital is the weighted average over all pairs (c, b).
    """
    grown_NC = np.log((1.0 - STAKES) + STAKES * ((1.0 - losses) / (1.0 - mean))[:, None])
    edges_NC = (grown_NC - nats_per_example) / (nats_per_example - np.log1p(-STAKES))
    with np.errstate(divide="ignore"):
        log_growth_BC = np.stack([counts @ np.log1p(np.maximum(stake * edges_NC, -1.0)) for stake in DRAW_STAKES])
    log_growth_BC += LOG_WEIGHTS[:, None]
    best = float(log_growth_BC.max())
    if best == -math.inf:
        return best
    return best + math.log(float(np.exp(log_growth_BC - best).sum()) / STAKES.size)


def nested_betting_occam_subsampled(
    losses: ArrayLike,
    code_bits: float,
    examples: int,
    delta: float,
    low: float = 0.0,
    width: float = 1.0,
    tolerance: float = 1e-6,
) -> float:
    """Upper bound on the true risk from losses in [low, low + width] drawn with replacement from `examples`.

    Two events. (1) At r delta, r = n / (n + m), by Markov's inequality and Occam's union: the m = `examples` losses of
    the hypothesis earn less than (code_bits ln 2 + ln(1/(r delta)) + ln(number of stakes)) / m nats each, with every
    stake, against the true mean (the betting of Waudby-Smith and Ramdas 2024, arXiv 2010.09686). (2) At
    (1 - r) delta the n draws, made after the hypothesis was fixed, refute no mean for which that holds. The bound is
    the smallest mean above which all are refuted, rounded up by at most `tolerance` of the width: the capital over all
    pairs of stakes grows with the mean. For losses with a small spread it is near top - (top - risk) exp(-nats / m),
    with top = low + width.
    """
    drawn = np.asarray(losses, dtype=np.float64).ravel()
    check_subsample(code_bits, examples, drawn.size, delta, least=1)
    unit = (drawn - low) / width
    if not (unit.min() >= -1e-9 and unit.max() <= 1.0 + 1e-9):
        raise ValueError(f"losses: expected numbers between {low:.6g} and {low + width:.6g}")
    share = drawn.size / (drawn.size + examples)
    nats_per_example = (occam_nats(code_bits, share * delta) + math.log(STAKES.size)) / examples
    target = occam_nats(0.0, (1.0 - share) * delta)
    values, repeats = np.unique(np.clip(unit, 0.0, 1.0), return_counts=True)
    counts = repeats.astype(np.float64)

    def excess(mean: float) -> float:
        return log_evidence(values, counts, mean, nats_per_example) - target

    unit_bound = _smallest_refuted(excess, float(values @ counts / counts.sum()), tolerance)
    return low + width * unit_bound


def _smallest_refuted(excess: Callable[[float], float], inside: float, tolerance: float) -> float:
    """A mean at most `tolerance` above the root of a growing function, where it is positive; 1 where there is none.

    The root is looked for by Brent's method, which needs half the steps of bisection; `inside` is below it.
    """
    if inside >= 1.0 - tolerance or excess(1.0 - tolerance) < 0.0:
        return 1.0
    found: float = brentq(
        lambda mean: min(max(excess(mean), -BRENT_LIMIT), BRENT_LIMIT), inside, 1.0 - tolerance, xtol=0.25 * tolerance
    )
    while excess(found) < 0.0:
        found += 0.5 * tolerance
    return found


def _drawn(sample: LossSample, code_bits: float, delta: float) -> float:
    return nested_betting_occam_subsampled(sample.losses, code_bits, sample.examples, delta, sample.low, sample.width)


def _drawn_mean(sample: LossSample, delta: float) -> float:
    return sample.from_unit(betting_occam(sample.unit_losses, 0.0, delta, tolerance=1e-6))


LOSSES = LossInequality(_drawn, _drawn_mean)
