"""Empirical-Bernstein bounds with Occam's union: pay for the spread of the loss, and little for its range."""

import math

import numpy as np

from certifuse.evaluation.bounds.confidence import check_code, check_count, check_subsample, occam_nats
from certifuse.evaluation.bounds.evidence import DocumentEvidence, ErrorCounts, LossInequality, LossSample

SOURCE = "empirical Bernstein (Maurer, Pontil 2009)"


def check_deviation(standard_deviation: float, width: float) -> None:
    """ValueError for a negative deviation, or one above any that the interval admits (with two examples)."""
    if not 0.0 <= standard_deviation <= width * math.sqrt(0.5) * (1.0 + 1e-9):
        raise ValueError(
            f"standard_deviation: expected a number between 0 and width / sqrt 2 = {width * math.sqrt(0.5):.6g}, "
            f"got {standard_deviation!r}"
        )


def bernstein_penalty(
    standard_deviation: float, code_bits: float, examples: int, delta: float, width: float = 1.0
) -> float:
    """sqrt(2 V c / m) + 7 width c / (3 (m - 1)) with c = code_bits ln 2 + ln(2/delta), m = examples.

    V is the square of `standard_deviation`, the unbiased sample variance (divisor m - 1) of the very losses that
    the risk averages (Maurer and Pontil 2009, arXiv 0907.3740, Theorem 4, scaled from [0, 1] to `width`).
    """
    check_count("examples", examples, 2)
    check_code(code_bits, delta)
    check_deviation(standard_deviation, width)
    nats = occam_nats(code_bits, delta / 2.0)
    return standard_deviation * math.sqrt(2.0 * nats / examples) + 7.0 * width * nats / (3.0 * (examples - 1))


def bernstein_occam(
    risk: float, standard_deviation: float, code_bits: float, examples: int, delta: float, width: float = 1.0
) -> float:
    """risk + `bernstein_penalty`, in the unit of the loss; both statistics come from all `examples` losses."""
    return risk + bernstein_penalty(standard_deviation, code_bits, examples, delta, width)


def deviation_upper(standard_deviation: float, draws: int, delta: float, width: float = 1.0) -> float:
    """Upper bound on the deviation of the population that `draws` independent losses came from.

    s + width sqrt(2 ln(1/delta) / (draws - 1)), at most width / 2 (Maurer and Pontil 2009, Theorem 10).
    """
    check_count("draws", draws, 2)
    check_deviation(standard_deviation, width)
    return min(0.5 * width, standard_deviation + width * math.sqrt(2.0 * occam_nats(0.0, delta) / (draws - 1)))


def bernstein_occam_subsampled(
    risk: float,
    standard_deviation: float,
    code_bits: float,
    examples: int,
    subsample: int,
    delta: float,
    width: float = 1.0,
) -> float:
    """Empirical Bernstein where risk and deviation were measured on `subsample` draws from the `examples`.

    Three events: (1) the draws bound the deviation sigma of the m = `examples` losses, `deviation_upper`, and (2)
    their mean, by Bernstein's inequality with that sigma, risk + sigma sqrt(2 c / n) + width c / (3 n), each at
    (1 - r) delta / 2; (3) the m losses bound the true risk at r delta, `bernstein_penalty` with the sample deviation
    sigma sqrt(m / (m - 1)). r = n / (n + m); draws with replacement, after the hypothesis was fixed.
    """
    check_subsample(code_bits, examples, subsample, delta, least=2)
    share = subsample / (subsample + examples)
    half = 0.5 * (1.0 - share) * delta
    sigma = deviation_upper(standard_deviation, subsample, half, width)
    nats = occam_nats(0.0, half)
    empirical = risk + sigma * math.sqrt(2.0 * nats / subsample) + width * nats / (3.0 * subsample)
    sample_deviation = sigma * math.sqrt(examples / (examples - 1))
    return empirical + bernstein_penalty(sample_deviation, code_bits, examples, share * delta, width)


def zero_one(seen: ErrorCounts, code_bits: float, delta: float) -> float | None:
    """The bound from the error rate, which gives the deviation; None for a single example."""
    risk, examples = seen.risk, seen.examples
    if examples == 1:
        return None
    deviation = math.sqrt(risk * (1.0 - risk) * examples / (examples - 1))
    return min(1.0, bernstein_occam(risk, deviation, code_bits, examples, delta))


def documents(seen: DocumentEvidence, code_bits: float, delta: float) -> float | None:
    """The bound in BPD from mean and deviation of the losses; None where no deviation is known."""
    risk, deviation, m, n, width = seen.risk_bpd, seen.deviation, seen.documents, seen.subsample, seen.range.width
    if deviation is None:
        return None
    if n is None:
        return bernstein_occam(risk, deviation, code_bits, m, delta, width)
    return bernstein_occam_subsampled(risk, deviation, code_bits, m, n, delta, width)


def _drawn(sample: LossSample, code_bits: float, delta: float) -> float:
    risk, deviation, draws = sample.risk, sample.deviation, sample.losses.size
    return bernstein_occam_subsampled(risk, deviation, code_bits, sample.examples, draws, delta, sample.width)


def _drawn_mean(sample: LossSample, delta: float) -> float:
    sigma = deviation_upper(sample.deviation, sample.losses.size, delta / 2.0, sample.width)
    nats_per_draw = occam_nats(0.0, delta / 2.0) / sample.losses.size
    return float(sample.risk + sigma * np.sqrt(2.0 * nats_per_draw) + sample.width * nats_per_draw / 3.0)


def _whole(sample: LossSample, code_bits: float, delta: float) -> float:
    return bernstein_occam(sample.risk, sample.deviation, code_bits, sample.examples, delta, sample.width)


LOSSES = LossInequality(_drawn, _drawn_mean, _whole)
