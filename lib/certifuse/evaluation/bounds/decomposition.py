"""Every bound on a mean of losses, split into the risk that was measured, the price of the draw, and that of the bits.

value = risk + subsampling + complexity. The subsampling term is what a bound on the mean loss of all m examples, from
the n draws alone, exceeds their mean by; the complexity term is the rest, which the step to unseen examples costs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certifuse.evaluation.bounds.bernstein import bernstein_occam, bernstein_occam_subsampled, deviation_upper
from certifuse.evaluation.bounds.betting import betting_occam, betting_occam_subsampled
from certifuse.evaluation.bounds.confidence import check_count, occam_nats
from certifuse.evaluation.bounds.hoeffding import hoeffding_occam, hoeffding_occam_subsampled, hoeffding_penalty
from certifuse.evaluation.bounds.kl import kl_occam, kl_occam_subsampled, kl_upper
from certifuse.evaluation.bounds.nested_betting import nested_betting_occam_subsampled


@dataclass(frozen=True, eq=False)
class LossSample:
    """`losses` (n,) of a frozen hypothesis, each in [low, low + width].

    They were drawn with replacement from `examples` independent ones after the hypothesis was fixed; or, where
    `drawn` is False, they are the losses of all of them. Values that leave the interval by rounding (1e-6) are moved
    to its edge; ValueError where one lies further out.
    """

    losses: NDArray[np.float64]
    low: float
    width: float
    examples: int
    drawn: bool = True

    def __post_init__(self) -> None:
        check_count("losses", self.losses.size, 2)
        if not (self.losses.min() >= self.low - 1e-6 and self.losses.max() <= self.low + self.width + 1e-6):
            raise ValueError(
                f"losses: expected numbers between {self.low:.6g} and {self.low + self.width:.6g}, "
                f"got {self.losses.min():.6g} to {self.losses.max():.6g}"
            )
        if not self.drawn and self.losses.size != self.examples:
            raise ValueError(f"losses: expected one for each of {self.examples} examples, got {self.losses.size}")
        object.__setattr__(self, "losses", np.clip(self.losses, self.low, self.low + self.width))

    @property
    def risk(self) -> float:
        """Mean loss."""
        return float(self.losses.mean())

    @property
    def deviation(self) -> float:
        """Sample deviation, divisor n - 1."""
        return float(self.losses.std(ddof=1))

    @property
    def unit_losses(self) -> NDArray[np.float64]:
        """The losses on the scale from 0 to 1."""
        return np.clip((self.losses - self.low) / self.width, 0.0, 1.0)

    def from_unit(self, value: float) -> float:
        """A value on the scale from 0 to 1, in the unit of the loss."""
        return self.low + self.width * value


@dataclass(frozen=True)
class DecomposedBound:
    """An upper bound on the true risk, in the unit of the loss; see the head of the module."""

    name: str
    value: float
    risk: float
    subsampling: float

    @property
    def complexity(self) -> float:
        """What the bits of the hypothesis cost."""
        return self.value - self.risk - self.subsampling


Bound = Callable[[LossSample, float, float], float]
"""(sample, code_bits, delta) -> upper bound on the true risk."""
EmpiricalBound = Callable[[LossSample, float], float]
"""(sample, delta) -> upper bound on the mean loss of all examples that the sample was drawn from."""


def _empirical_bernstein(sample: LossSample, delta: float) -> float:
    sigma = deviation_upper(sample.deviation, sample.losses.size, delta / 2.0, sample.width)
    nats_per_draw = occam_nats(0.0, delta / 2.0) / sample.losses.size
    return float(sample.risk + sigma * np.sqrt(2.0 * nats_per_draw) + sample.width * nats_per_draw / 3.0)


WHOLE: dict[str, Bound] = {
    "hoeffding": lambda s, bits, delta: hoeffding_occam(s.risk, bits, s.examples, delta, s.width),
    "kl": lambda s, bits, delta: s.from_unit(kl_occam(float(s.unit_losses.mean()), bits, s.examples, delta)),
    "bernstein": lambda s, bits, delta: bernstein_occam(s.risk, s.deviation, bits, s.examples, delta, s.width),
    "betting": lambda s, bits, delta: s.from_unit(betting_occam(s.unit_losses, bits, delta, tolerance=1e-6)),
}
"""Bounds where every example was scored."""

SUBSAMPLED: dict[str, tuple[Bound, EmpiricalBound]] = {
    "hoeffding": (
        lambda s, bits, delta: hoeffding_occam_subsampled(s.risk, bits, s.examples, s.losses.size, delta, s.width),
        lambda s, delta: s.risk + hoeffding_penalty(0.0, s.losses.size, delta, s.width),
    ),
    "kl": (
        lambda s, bits, delta: s.from_unit(
            kl_occam_subsampled(float(s.unit_losses.mean()), bits, s.examples, s.losses.size, delta)
        ),
        lambda s, delta: s.from_unit(kl_upper(float(s.unit_losses.mean()), occam_nats(0.0, delta) / s.losses.size)),
    ),
    "bernstein": (
        lambda s, bits, delta: bernstein_occam_subsampled(
            s.risk, s.deviation, bits, s.examples, s.losses.size, delta, s.width
        ),
        _empirical_bernstein,
    ),
    "betting": (
        lambda s, bits, delta: betting_occam_subsampled(s.losses, bits, s.examples, delta, s.low, s.width),
        lambda s, delta: s.from_unit(betting_occam(s.unit_losses, 0.0, delta / 2.0, tolerance=1e-6)),
    ),
    "nested_betting": (
        lambda s, bits, delta: nested_betting_occam_subsampled(s.losses, bits, s.examples, delta, s.low, s.width),
        lambda s, delta: s.from_unit(betting_occam(s.unit_losses, 0.0, delta, tolerance=1e-6)),
    ),
}
"""Bounds where a subsample was scored, each with its bound on the mean of all examples."""


def inequality_names(*, drawn: bool) -> tuple[str, ...]:
    """The inequalities that a sample admits."""
    return tuple(SUBSAMPLED if drawn else WHOLE)


def decomposed_bounds(
    sample: LossSample, code_bits: float, delta: float, names: Sequence[str] | None = None
) -> list[DecomposedBound]:
    """The inequalities `names` (default: all) on one sample, each at confidence 1 - delta by itself."""
    names = inequality_names(drawn=sample.drawn) if names is None else names
    if not sample.drawn:
        return [DecomposedBound(name, WHOLE[name](sample, code_bits, delta), sample.risk, 0.0) for name in names]
    share = sample.losses.size / (sample.losses.size + sample.examples)
    bounds = []
    for name in names:
        bound, empirical = SUBSAMPLED[name]
        subsampling = empirical(sample, (1.0 - share) * delta) - sample.risk
        bounds.append(DecomposedBound(name, bound(sample, code_bits, delta), sample.risk, subsampling))
    return bounds
