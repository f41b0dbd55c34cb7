"""Hoeffding's bound with Occam's union: pays for the range of the loss whatever its spread."""

import math

from certifuse.evaluation.bounds.confidence import check_count, check_subsample, occam_nats
from certifuse.evaluation.bounds.evidence import DocumentEvidence, ErrorCounts, LossInequality, LossSample

SOURCE = "Hoeffding (Lotfi et al. 2024 where subsampled)"


def hoeffding_penalty(code_bits: float, examples: int, delta: float, width: float = 1.0) -> float:
    """width sqrt((code_bits ln 2 + ln(1/delta)) / (2 examples)): what a mean of `examples` losses can be off by.

    `width` is the length of the loss's interval, in the unit of the loss (Hoeffding 1963, Theorem 2).
    """
    check_count("examples", examples, 1)
    if not 0.0 < width < math.inf:
        raise ValueError(f"width: expected a positive finite number, got {width!r}")
    return width * math.sqrt(occam_nats(code_bits, delta) / (2.0 * examples))


def hoeffding_occam(risk: float, code_bits: float, examples: int, delta: float, width: float = 1.0) -> float:
    """risk + `hoeffding_penalty`, in the unit of the loss; `risk` averages all `examples` losses."""
    return risk + hoeffding_penalty(code_bits, examples, delta, width)


def hoeffding_occam_subsampled(
    risk: float, code_bits: float, examples: int, subsample: int, delta: float, width: float = 1.0
) -> float:
    """The published language-model bound (Lotfi et al. 2024, arXiv 2312.17173, Theorem 1 with subsampling).

    R <= Rhat + width (sqrt((K ln 2 + ln(1/(r delta))) / (2m)) + sqrt(ln(1/((1 - r) delta)) / (2n))), where m =
    `examples` are independent, n = `subsample` are drawn from them uniformly with replacement after the hypothesis
    was fixed, `risk` averages the draws, and r = n / (n + m). Units: those of the loss, for example bits per
    dimension with the width of `bpd_range`.
    """
    check_subsample(code_bits, examples, subsample, delta)
    share = subsample / (subsample + examples)
    complexity = hoeffding_penalty(code_bits, examples, share * delta, width)
    return risk + complexity + hoeffding_penalty(0.0, subsample, (1.0 - share) * delta, width)


def zero_one(seen: ErrorCounts, code_bits: float, delta: float) -> float:
    """The bound from the error rate alone."""
    return min(1.0, hoeffding_occam(seen.risk, code_bits, seen.examples, delta))


def documents(seen: DocumentEvidence, code_bits: float, delta: float) -> float:
    """The bound in BPD from the mean loss alone."""
    risk, m, n, width = seen.risk_bpd, seen.documents, seen.subsample, seen.range.width
    if n is None:
        return hoeffding_occam(risk, code_bits, m, delta, width)
    return hoeffding_occam_subsampled(risk, code_bits, m, n, delta, width)


def _drawn(sample: LossSample, code_bits: float, delta: float) -> float:
    draws = sample.losses.size
    return hoeffding_occam_subsampled(sample.risk, code_bits, sample.examples, draws, delta, sample.width)


def _drawn_mean(sample: LossSample, delta: float) -> float:
    return sample.risk + hoeffding_penalty(0.0, sample.losses.size, delta, sample.width)


def _whole(sample: LossSample, code_bits: float, delta: float) -> float:
    return hoeffding_occam(sample.risk, code_bits, sample.examples, delta, sample.width)


LOSSES = LossInequality(_drawn, _drawn_mean, _whole)
