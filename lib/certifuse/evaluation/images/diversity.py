"""Diversity: how differently the experts of one committee err, and what each contributes.

Shape suffixes: E experts, N examples, K classes. Pairwise measures follow Kuncheva and Whitaker (2003), "Measures of
diversity in classifier ensembles", section 2.1, from the joint counts of a pair: n11 both right, n00 both wrong, n10
and n01 one right. A measure that is undefined (zero denominator) is absent, never NaN or 0.
"""

import itertools
import math

from torch import Tensor

from certifuse.evaluation.images.checks import check_labels, check_outputs
from certifuse.evaluation.images.combination import probability_average

MEASURES = ("disagreement", "double_fault", "q_statistic", "error_correlation")


def pair_diversity(predicted_a_N: Tensor, predicted_b_N: Tensor, labels_N: Tensor) -> dict[str, float]:
    """Diversity of two experts from their predicted classes.

    Returns:
        disagreement: share of examples on which the predicted classes differ, in [0, 1]. (Kuncheva and Whitaker count
            only n10 + n01; two experts that are wrong in different ways differ here too.)
        double_fault: n00 / N, in [0, 1].
        q_statistic: (n11 n00 - n01 n10) / (n11 n00 + n01 n10), in [-1, 1]; absent if the denominator is 0.
        error_correlation: Pearson correlation of the two error indicators, in [-1, 1]; absent if an expert is always
            right or always wrong.
    """
    if not predicted_a_N.shape == predicted_b_N.shape == labels_N.shape or labels_N.ndim != 1 or not len(labels_N):
        shapes = [tuple(tensor.shape) for tensor in (predicted_a_N, predicted_b_N, labels_N)]
        raise ValueError(f"expected three equal non-empty shapes (N,), found {shapes}")
    right_a_N, right_b_N = predicted_a_N == labels_N, predicted_b_N == labels_N
    n11, n00 = int((right_a_N & right_b_N).sum()), int((~right_a_N & ~right_b_N).sum())
    n10, n01 = int((right_a_N & ~right_b_N).sum()), int((~right_a_N & right_b_N).sum())
    measures = {
        "disagreement": float((predicted_a_N != predicted_b_N).double().mean()),
        "double_fault": n00 / len(labels_N),
    }
    covariance, same_and_cross = n11 * n00 - n01 * n10, n11 * n00 + n01 * n10
    if same_and_cross:
        measures["q_statistic"] = covariance / same_and_cross
    if margins := (n11 + n10) * (n01 + n00) * (n11 + n01) * (n10 + n00):
        measures["error_correlation"] = covariance / math.sqrt(margins)
    return measures


def pairwise_diversity(predicted_EN: Tensor, labels_N: Tensor) -> dict[tuple[int, int], dict[str, float]]:
    """`pair_diversity` of every pair of experts i < j, by (i, j)."""
    if predicted_EN.ndim != 2 or len(predicted_EN) < 2:
        raise ValueError(f"predicted_EN: expected shape (E, N) with E >= 2, found {tuple(predicted_EN.shape)}")
    pairs = itertools.combinations(range(len(predicted_EN)), 2)
    return {(i, j): pair_diversity(predicted_EN[i], predicted_EN[j], labels_N) for i, j in pairs}


def drop_one_accuracy(log_probs_ENK: Tensor, labels_N: Tensor) -> list[float]:
    """Top-1 accuracy in [0, 1] of the probability average without expert e, for every e. Needs two experts or more."""
    check_outputs("log_probs_ENK", log_probs_ENK, "ENK")
    check_labels(labels_N, *log_probs_ENK.shape[1:])
    experts = range(len(log_probs_ENK))
    if len(experts) < 2:
        raise ValueError("log_probs_ENK: expected at least 2 experts, found 1")
    remaining = ([other for other in experts if other != dropped] for dropped in experts)
    return [
        float((probability_average(log_probs_ENK[kept]).argmax(-1) == labels_N).double().mean()) for kept in remaining
    ]


def diversity_table(log_probs_ENK: Tensor, labels_N: Tensor) -> dict[str, float]:
    """Every diversity number under its column name.

    `<measure>` is the mean over all pairs, absent unless every pair has it (a mean over fewer pairs would be another
    quantity); `<measure>_<i>_<j>` is one pair; `top1_without_<e>_percent` the drop-one accuracy. One expert has none.
    """
    check_outputs("log_probs_ENK", log_probs_ENK, "ENK")
    check_labels(labels_N, *log_probs_ENK.shape[1:])
    if len(log_probs_ENK) < 2:
        return {}
    by_pair = pairwise_diversity(log_probs_ENK.argmax(-1), labels_N)
    table = {}
    for measure in MEASURES:
        values = [measures[measure] for measures in by_pair.values() if measure in measures]
        if len(values) == len(by_pair):
            table[measure] = math.fsum(values) / len(values)
    table |= {f"{measure}_{i}_{j}": value for (i, j), pair in by_pair.items() for measure, value in pair.items()}
    without = enumerate(drop_one_accuracy(log_probs_ENK, labels_N))
    return table | {f"top1_without_{e}_percent": 100 * top1 for e, top1 in without}
