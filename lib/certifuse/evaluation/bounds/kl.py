"""The Chernoff bound in its kl form, inverted: losses in [0, 1], no slack but the union over codes."""

import math

from certifuse.evaluation.bounds.confidence import check_count, check_subsample, check_unit_risk, occam_nats
from certifuse.evaluation.bounds.evidence import DocumentEvidence, ErrorCounts, LossInequality, LossSample

SOURCE = "kl inversion (Chernoff-Hoeffding; Langford 2005)"


def binary_kl(q: float, p: float) -> float:
    """kl(q || p) in nats between Bernoulli(q) and Bernoulli(p); inf where p excludes what q allows."""
    nats = 0.0
    if q > 0.0:
        nats += q * math.log(q / p) if p > 0.0 else math.inf
    if q < 1.0:
        nats += (1.0 - q) * (math.log1p(-q) - math.log1p(-p)) if p < 1.0 else math.inf
    return nats


def kl_upper(risk: float, nats: float) -> float:
    """sup {p : kl(risk || p) <= nats}, rounded up to the next point of the bisection; nats per example.

    Raises ValueError for a risk outside [0, 1] or negative nats.
    """
    check_unit_risk(risk)
    if not nats >= 0.0:
        raise ValueError(f"nats: expected a number >= 0, got {nats!r}")
    inside, outside = risk, 1.0
    while inside < (middle := 0.5 * (inside + outside)) < outside:
        if binary_kl(risk, middle) <= nats:
            inside = middle
        else:
            outside = middle
    return outside


def kl_lower(risk: float, nats: float) -> float:
    """inf {p : kl(risk || p) <= nats}, by the symmetry kl(q || p) = kl(1 - q || 1 - p)."""
    check_unit_risk(risk)
    return 1.0 - kl_upper(1.0 - risk, nats)


def kl_occam(risk: float, code_bits: float, examples: int, delta: float) -> float:
    """Upper bound on the true risk, in [0, 1], for losses in [0, 1].

    sup {p : kl(risk || p) <= (code_bits ln 2 + ln(1/delta)) / examples}. For one hypothesis from a fixed code the
    Chernoff-Hoeffding theorem (Hoeffding 1963, eq. 2.1) needs no 2 sqrt(n) factor; the union over codes is Occam's
    (Langford 2005, Corollary 4.2). `examples` is the number of independent losses that `risk` averages.
    """
    check_count("examples", examples, 1)
    return kl_upper(risk, occam_nats(code_bits, delta) / examples)


def kl_occam_subsampled(risk: float, code_bits: float, examples: int, subsample: int, delta: float) -> float:
    """`kl_occam` where the risk was measured on `subsample` draws, with replacement, from the `examples`.

    Two kl inversions in a row: from the subsample to the empirical risk at (1 - r) delta, from there to the true
    risk at r delta, r = subsample / (subsample + examples), the split of Lotfi et al. 2024 (arXiv 2312.17173).
    Sound because `kl_upper` grows with its first argument.
    """
    check_subsample(code_bits, examples, subsample, delta)
    share = subsample / (subsample + examples)
    empirical = kl_upper(risk, occam_nats(0.0, (1.0 - share) * delta) / subsample)
    return kl_occam(empirical, code_bits, examples, share * delta)


def zero_one(seen: ErrorCounts, code_bits: float, delta: float) -> float:
    """The bound from the error rate alone."""
    return kl_occam(seen.risk, code_bits, seen.examples, delta)


def documents(seen: DocumentEvidence, code_bits: float, delta: float) -> float:
    """The bound in BPD from the mean loss alone, inverted on the scale from 0 to 1."""
    (low, width), risk, m, n = seen.range, seen.unit_risk, seen.documents, seen.subsample
    if n is None:
        return low + width * kl_occam(risk, code_bits, m, delta)
    return low + width * kl_occam_subsampled(risk, code_bits, m, n, delta)


def _drawn(sample: LossSample, code_bits: float, delta: float) -> float:
    risk, draws = float(sample.unit_losses.mean()), sample.losses.size
    return sample.from_unit(kl_occam_subsampled(risk, code_bits, sample.examples, draws, delta))


def _drawn_mean(sample: LossSample, delta: float) -> float:
    risk, draws = float(sample.unit_losses.mean()), sample.losses.size
    return sample.from_unit(kl_upper(risk, occam_nats(0.0, delta) / draws))


def _whole(sample: LossSample, code_bits: float, delta: float) -> float:
    return sample.from_unit(kl_occam(float(sample.unit_losses.mean()), code_bits, sample.examples, delta))


LOSSES = LossInequality(_drawn, _drawn_mean, _whole)
