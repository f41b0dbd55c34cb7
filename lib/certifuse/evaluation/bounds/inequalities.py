"""Every inequality that a claim admits, by name, evaluated on the same evidence.

Each bound holds at confidence 1 - delta by itself. Quoting the smallest of M after seeing them all needs
delta / M, or a name fixed in advance: `binomial` for zero-one loss is never above `kl`, `catoni` or `hoeffding`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from certifuse.evaluation.bounds.bernstein import bernstein_occam, bernstein_occam_subsampled
from certifuse.evaluation.bounds.betting import betting_occam, betting_occam_subsampled
from certifuse.evaluation.bounds.binomial import binomial_occam
from certifuse.evaluation.bounds.catoni import catoni_occam
from certifuse.evaluation.bounds.confidence import check_count, check_unit_risk
from certifuse.evaluation.bounds.documents import BpdRange, bpd_range
from certifuse.evaluation.bounds.excess import PriorComparison, excess_bernstein, excess_betting, excess_split_kl
from certifuse.evaluation.bounds.hoeffding import hoeffding_occam, hoeffding_occam_subsampled
from certifuse.evaluation.bounds.kl import kl_occam, kl_occam_subsampled


@dataclass(frozen=True)
class NamedBound:
    """One upper bound on the true risk: `value` in the unit of the loss, `source` for the reader."""

    name: str
    value: float
    source: str


SOURCES = {
    "binomial": "exact binomial tail; Clopper-Pearson at 0 bits (Langford 2005)",
    "kl": "kl inversion (Chernoff-Hoeffding; Langford 2005)",
    "catoni": "Catoni with a union over gamma (Lotfi et al. 2022)",
    "betting": "betting with diversified stakes (Waudby-Smith, Ramdas 2024)",
    "bernstein": "empirical Bernstein (Maurer, Pontil 2009)",
    "hoeffding": "Hoeffding (Lotfi et al. 2024 where subsampled)",
    "excess_betting": "prior exactly, difference by betting",
    "excess_split_kl": "prior exactly, difference by split-kl (Wu, Seldin 2022)",
    "excess_bernstein": "prior exactly, difference by empirical Bernstein",
}


def _named(values: dict[str, float]) -> list[NamedBound]:
    return [NamedBound(name, value, SOURCES[name]) for name, value in values.items()]


def count_errors(risk: float, examples: int) -> int:
    """The error count behind an error rate, rounded up unless it is a whole number to within 1e-6."""
    check_unit_risk(risk)
    check_count("examples", examples, 1)
    return min(examples, math.ceil(risk * examples - 1e-6))


def zero_one_bounds(
    errors: int, code_bits: float, examples: int, delta: float, prior: PriorComparison | None = None
) -> list[NamedBound]:
    """Bounds on an error probability, in [0, 1], from `errors` mistakes in `examples` independent trials.

    `prior` adds the excess-loss bounds; its counts must give the same `errors` and `examples` (ValueError if not).
    """
    values = {"binomial": binomial_occam(errors, code_bits, examples, delta)}
    risk = errors / examples
    values["kl"] = kl_occam(risk, code_bits, examples, delta)
    values["catoni"] = catoni_occam(risk, code_bits, examples, delta)
    values["betting"] = betting_occam((0.0, 1.0), code_bits, delta, (examples - errors, errors))
    if examples > 1:
        deviation = math.sqrt(risk * (1.0 - risk) * examples / (examples - 1))
        values["bernstein"] = min(1.0, bernstein_occam(risk, deviation, code_bits, examples, delta))
    values["hoeffding"] = min(1.0, hoeffding_occam(risk, code_bits, examples, delta))
    if prior is not None:
        if (prior.errors, prior.examples) != (errors, examples):
            raise ValueError(
                f"prior comparison: its counts give {prior.errors} errors in {prior.examples} examples, "
                f"expected {errors} in {examples}"
            )
        values["excess_betting"] = excess_betting(prior, code_bits, delta)
        values["excess_split_kl"] = excess_split_kl(prior, code_bits, delta)
        values["excess_bernstein"] = excess_bernstein(prior, code_bits, delta)
    return _named(values)


@dataclass(frozen=True, kw_only=True)
class DocumentEvidence:
    """What was measured on a language model's documents, in bits per dimension (BPD).

    `risk_bpd` averages `subsample` documents, drawn with replacement from the `documents` that the model was
    trained on, or all of them where `subsample` is None. `deviation_bpd` is their sample deviation (divisor n - 1)
    and `losses_bpd` the losses one by one; either opens further bounds.
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


def bpd_bounds(seen: DocumentEvidence, code_bits: float, delta: float) -> list[NamedBound]:
    """Bounds on the expected loss of a new document, in BPD; read them against log2(vocabulary), a uniform guess."""
    low, width = seen.range
    unit_risk = min(max((seen.risk_bpd - low) / width, 0.0), 1.0)
    m, n, deviation, values = seen.documents, seen.subsample, seen.deviation_bpd, {}
    losses = None if seen.losses_bpd is None else np.asarray(seen.losses_bpd, dtype=np.float64)
    if deviation is None and losses is not None and losses.size > 1:
        deviation = float(losses.std(ddof=1))
    if n is None:
        if losses is not None:
            values["betting"] = low + width * betting_occam((losses - low) / width, code_bits, delta)
        if deviation is not None:
            values["bernstein"] = bernstein_occam(seen.risk_bpd, deviation, code_bits, m, delta, width)
        values["kl"] = low + width * kl_occam(unit_risk, code_bits, m, delta)
        values["hoeffding"] = hoeffding_occam(seen.risk_bpd, code_bits, m, delta, width)
    else:
        if losses is not None:
            values["betting"] = betting_occam_subsampled(losses, code_bits, m, delta, low, width)
        if deviation is not None:
            values["bernstein"] = bernstein_occam_subsampled(seen.risk_bpd, deviation, code_bits, m, n, delta, width)
        values["kl"] = low + width * kl_occam_subsampled(unit_risk, code_bits, m, n, delta)
        values["hoeffding"] = hoeffding_occam_subsampled(seen.risk_bpd, code_bits, m, n, delta, width)
    return _named(values)
