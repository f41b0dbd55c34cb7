"""Losses of whole documents from the scores of their tokens, for all smoothings and all k at once.

Shapes: S tokens of all documents, N documents, A smoothings, K cut-offs.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from certifuse.evaluation.language.token_scores import TokenScores

Floats = NDArray[np.float64]
TOP_K = (*range(1, 11), 50, 100)


def losses_bpd(scores: TokenScores, alphas: Sequence[float], vocabulary: int) -> Floats:
    """Mean bits per token of every document under every smoothing, (N, A): -(1/T) sum_t log2 p_alpha(x_t).

    p_alpha = (1 - alpha) p + alpha / V, V = `vocabulary`. Both terms are positive and the second is far above rounding,
    so the sum is taken as it stands, in float64. ValueError for alpha outside (0, 1).
    """
    probability_S = np.exp(-scores.nll_nats_S)
    losses_NA = np.empty((len(scores.offsets) - 1, len(alphas)))
    for column, alpha in enumerate(alphas):
        if not 0.0 < alpha < 1.0:
            raise ValueError(f"alpha: expected a number strictly between 0 and 1, got {alpha!r}")
        bits_S = np.log2((1.0 - alpha) * probability_S + alpha / vocabulary)
        losses_NA[:, column] = -_document_means(bits_S, scores.offsets)
    return losses_NA


def unsmoothed_bpd(scores: TokenScores) -> Floats:
    """Mean bits per token of every document without smoothing, (N,): unbounded, so for description only."""
    return _document_means(scores.nll_nats_S, scores.offsets) / math.log(2.0)


def top_k_errors(scores: TokenScores, cutoffs: Sequence[int] = TOP_K) -> Floats:
    """Share of each document's tokens whose true token is not among the k most probable, (N, K), in [0, 1].

    That is rank >= k; see `TokenScores` for ties. Smoothing changes no rank.
    """
    columns = [_document_means(scores.rank_S >= k, scores.offsets) for k in cutoffs]
    return np.stack(columns, axis=1)


def _document_means(values_S: NDArray[np.generic], offsets: NDArray[np.int64]) -> Floats:
    sums_N = np.add.reduceat(values_S, offsets[:-1], dtype=np.float64)
    return np.asarray(sums_N / np.diff(offsets))
