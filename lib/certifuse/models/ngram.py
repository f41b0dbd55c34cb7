"""Predictors without a network: what a language model has to beat before it has learnt anything.

Shapes: C input tokens, R rows of a table, V vocabulary, S tokens of all documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from certifuse.evaluation.token_scores import TokenScores
from certifuse.evaluation.windows import FlatDocuments, flatten

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NgramModel:
    """The next token's logits given the input token before it: row `row_of_C[token]` of `logits_RV`.

    Without `row_of_C` the input does not matter, and there is one row.
    """

    logits_RV: Floats
    row_of_C: Ints | None = None

    @cached_property
    def nll_nats(self) -> Floats:
        """-ln p(token | row), (R, V)."""
        top_R1 = self.logits_RV.max(axis=1, keepdims=True)
        log_sum_R1 = top_R1 + np.log(np.exp(self.logits_RV - top_R1).sum(axis=1, keepdims=True))
        return np.asarray(log_sum_R1 - self.logits_RV)

    @cached_property
    def rank(self) -> NDArray[np.int32]:
        """Number of other tokens with at least the same logit, as in `TokenScores`, (R, V)."""
        ascending_RV = np.sort(self.logits_RV, axis=1)
        below = [np.searchsorted(row, logits) for row, logits in zip(ascending_RV, self.logits_RV, strict=True)]
        return np.asarray(self.logits_RV.shape[1] - 1 - np.stack(below), dtype=np.int32)

    def score(self, documents: Sequence[NDArray[np.integer]], start: int) -> TokenScores:
        """Scores of every token of `documents` (int (T,) each), by looking them up; `start` precedes each document."""
        flat = flatten(documents, start, self.logits_RV.shape[1])
        row_S = 0 if self.row_of_C is None else self.row_of_C[flat.inputs_S]
        return TokenScores(self.nll_nats[row_S, flat.targets_S], self.rank[row_S, flat.targets_S], flat.offsets)


def uniform_model(vocabulary: int) -> NgramModel:
    """Every token is as probable as any other: the vacuous line, for no bits."""
    return NgramModel(np.zeros((1, vocabulary)))


def unigram_counts(documents: FlatDocuments, vocabulary: int) -> Ints:
    """How often each token occurs, (V,)."""
    return np.bincount(documents.targets_S, minlength=vocabulary).astype(np.int64)


def bigram_counts(documents: FlatDocuments, vocabulary: int, contexts: Ints) -> Ints:
    """How often each token follows each of `contexts` (C,), input tokens without repetition: (C, V)."""
    row_of = np.full(int(max(contexts.max(), documents.inputs_S.max())) + 1, -1)
    row_of[contexts] = np.arange(contexts.size)
    row_S = row_of[documents.inputs_S]
    pairs = row_S[row_S >= 0] * vocabulary + documents.targets_S[row_S >= 0]
    return np.bincount(pairs, minlength=contexts.size * vocabulary).reshape(contexts.size, vocabulary).astype(np.int64)
