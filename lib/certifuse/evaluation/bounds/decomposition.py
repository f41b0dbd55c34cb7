"""Every bound on a mean of losses, split into the risk that was measured, the price of the draw, and that of the bits.

value = risk + subsampling + complexity. The subsampling term is what a bound on the mean loss of all m examples, from
the n draws alone, exceeds their mean by; the complexity term is the rest, which the step to unseen examples costs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from certifuse.evaluation.bounds.evidence import LossInequality, LossSample


@dataclass(frozen=True)
class DecomposedBound:
    """An upper bound `value` on the true risk and its terms, in the unit of the loss; see the head of the module."""

    name: str
    value: float
    risk: float
    subsampling: float

    @property
    def complexity(self) -> float:
        """The price of the hypothesis' bits."""
        return self.value - self.risk - self.subsampling


def decomposed_bounds(
    sample: LossSample, code_bits: float, delta: float, inequalities: Mapping[str, LossInequality]
) -> list[DecomposedBound]:
    """Every one of the inequalities on one sample, under its name, each at confidence 1 - delta by itself.

    `code_bits` is the ledger's total K. `inequalities` has each under the name that its bound gets.

    Raises:
        ValueError: the losses are those of all examples, and an inequality has no form for that.
    """
    if not sample.drawn:
        return [
            DecomposedBound(name, _whole(name, inequality)(sample, code_bits, delta), sample.risk, 0.0)
            for name, inequality in inequalities.items()
        ]
    share = sample.losses.size / (sample.losses.size + sample.examples)
    bounds = []
    for name, inequality in inequalities.items():
        subsampling = inequality.drawn_mean(sample, (1.0 - share) * delta) - sample.risk
        bounds.append(DecomposedBound(name, inequality.drawn(sample, code_bits, delta), sample.risk, subsampling))
    return bounds


def _whole(name: str, inequality: LossInequality) -> Callable[[LossSample, float, float], float]:
    if inequality.whole is None:
        raise ValueError(f"{name}: expected losses of a drawn sample, got those of all examples")
    return inequality.whole
