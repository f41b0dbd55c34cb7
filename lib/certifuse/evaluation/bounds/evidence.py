"""Evidence that inequalities are given: counts of mistakes, figures of a language model, or losses one by one.

An inequality is a module of this package. What it can bound it says by a function or a constant of its own:

`SOURCE`: where it comes from, in a few words for the reader.
`zero_one(seen, code_bits, delta)`: an upper bound on an error probability from `ErrorCounts`.
`documents(seen, code_bits, delta)`: one on the expected loss of a new document, in BPD, from `DocumentEvidence`.
`LOSSES`: a `LossInequality`, for a `LossSample`.

Each holds at confidence 1 - delta by itself; `code_bits` is the ledger's total. None stands for evidence that does not
say what the inequality needs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certifuse.evaluation.bounds.confidence import check_count
from certifuse.evaluation.bounds.excess import PriorComparison


@dataclass(frozen=True)
class ErrorCounts:
    """`errors` mistakes in `examples` independent trials; `prior` compares them with those of a prior.

    ValueError where the counts of the comparison give other `errors` or `examples`.
    """

    errors: int
    examples: int
    prior: PriorComparison | None = None

    def __post_init__(self) -> None:
        check_count("examples", self.examples, 1)
        prior = self.prior
        if prior is not None and (prior.errors, prior.examples) != (self.errors, self.examples):
            raise ValueError(
                f"prior comparison: its counts give {prior.errors} errors in {prior.examples} examples, "
                f"expected {self.errors} in {self.examples}"
            )

    @property
    def risk(self) -> float:
        """The share of mistakes."""
        return self.errors / self.examples


class BpdRange(NamedTuple):
    """The interval [low, low + width] of a smoothed loss, in bits per dimension (per predicted token)."""

    low: float
    width: float


def bpd_range(alpha: float, vocabulary: int) -> BpdRange:
    """Interval of -log2 p_alpha: low = -log2(1 - alpha + alpha/V), width = log2(1 + (1 - alpha) V / alpha).

    Lotfi et al. 2024 (arXiv 2312.17173), Section 4.2. Raises ValueError for alpha outside (0, 1) or V < 2.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha: expected a number strictly between 0 and 1, got {alpha!r}")
    if vocabulary < 2:
        raise ValueError(f"vocabulary: expected an integer >= 2, got {vocabulary!r}")
    return BpdRange(-math.log2(1.0 - alpha + alpha / vocabulary), math.log2(1.0 + (1.0 - alpha) * vocabulary / alpha))


@dataclass(frozen=True, kw_only=True)
class DocumentEvidence:
    """Measurements on a language model's documents, in bits per dimension (BPD).

    Args:
        risk_bpd: mean loss, under the smoothed prediction, of the documents that were scored.
        documents: number m of documents that the model was trained on.
        alpha: share of the uniform distribution in the smoothed prediction, strictly between 0 and 1.
        vocabulary: number V of tokens.
        subsample: number n of documents scored, drawn with replacement from the m; None where all m were scored.
        deviation_bpd: sample deviation (divisor n - 1) of the losses; opens further bounds.
        losses_bpd: the losses one by one, shape (n,), or (m,) where all were scored; opens further bounds.

    Raises:
        ValueError: the risk is outside its interval, or the losses are not as many or do not average to it.
    """

    risk_bpd: float
    documents: int
    alpha: float
    vocabulary: int
    subsample: int | None = None
    deviation_bpd: float | None = None
    losses_bpd: ArrayLike | None = None

    def __post_init__(self) -> None:
        low, width = self.range
        if not low <= self.risk_bpd <= low + width:
            raise ValueError(
                f"risk_bpd: expected a number between {low:.6g} and {low + width:.6g} "
                f"for alpha {self.alpha!r} and vocabulary {self.vocabulary}, got {self.risk_bpd!r}"
            )
        if self.losses_bpd is not None:
            self._check_losses(np.asarray(self.losses_bpd, dtype=np.float64), self.subsample or self.documents)

    def _check_losses(self, losses: np.ndarray, expected: int) -> None:
        if losses.shape != (expected,):
            raise ValueError(f"losses_bpd: expected {expected} losses, one per document, got shape {losses.shape}")
        if not math.isclose(float(losses.mean()), self.risk_bpd, rel_tol=1e-6):
            raise ValueError(f"losses_bpd: expected their mean to be the risk {self.risk_bpd}, got {losses.mean()}")

    @property
    def range(self) -> BpdRange:
        """Interval of the smoothed loss."""
        return bpd_range(self.alpha, self.vocabulary)

    @property
    def unit_risk(self) -> float:
        """The risk on the scale from 0 to 1."""
        return min(max((self.risk_bpd - self.range.low) / self.range.width, 0.0), 1.0)

    @property
    def losses(self) -> NDArray[np.float64] | None:
        """The losses one by one, where they are known."""
        return None if self.losses_bpd is None else np.asarray(self.losses_bpd, dtype=np.float64)

    @property
    def deviation(self) -> float | None:
        """The sample deviation, as it is given or from the losses; None where neither is known."""
        losses = self.losses
        if self.deviation_bpd is None and losses is not None and losses.size > 1:
            return float(losses.std(ddof=1))
        return self.deviation_bpd


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


class LossInequality(NamedTuple):
    """An inequality for losses one by one.

    `drawn` and `whole`, of (sample, code_bits, delta), are upper bounds on the true risk from a subsample and from the
    losses of all examples; `drawn_mean`, of (sample, delta), is one on the mean loss of all examples that the
    subsample was drawn from. All are in the unit of the loss.
    """

    drawn: Callable[[LossSample, float, float], float]
    drawn_mean: Callable[[LossSample, float], float]
    whole: Callable[[LossSample, float, float], float] | None = None
