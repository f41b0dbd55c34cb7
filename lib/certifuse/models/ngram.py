"""Predictors without a network: what a language model has to beat before it has learnt anything.

Shapes: C contexts (1, or one for every input token), V vocabulary, S tokens of all documents.
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
    """The next token's logits given the input token before it, `logits_CV`; C = 1 where that does not matter."""

    logits_CV: Floats

    @cached_property
    def nll_nats(self) -> Floats:
        """-ln p(token | context)."""
        top_C1 = self.logits_CV.max(axis=1, keepdims=True)
        log_sum_C1 = top_C1 + np.log(np.exp(self.logits_CV - top_C1).sum(axis=1, keepdims=True))
        return np.asarray(log_sum_C1 - self.logits_CV)

    @cached_property
    def rank(self) -> NDArray[np.int32]:
        """Number of other tokens with at least the same logit, as in `TokenScores`."""
        ascending_CV = np.sort(self.logits_CV, axis=1)
        below = [np.searchsorted(row, logits) for row, logits in zip(ascending_CV, self.logits_CV, strict=True)]
        return np.asarray(self.logits_CV.shape[1] - 1 - np.stack(below), dtype=np.int32)

    def score(self, documents: Sequence[NDArray[np.integer]], start: int) -> TokenScores:
        """Scores of every token of `documents` (int (T,) each), by looking them up; `start` precedes each document."""
        contexts, vocabulary = self.logits_CV.shape
        flat = flatten(documents, start, vocabulary)
        context_S = flat.inputs_S if contexts > 1 else 0
        return TokenScores(self.nll_nats[context_S, flat.targets_S], self.rank[context_S, flat.targets_S], flat.offsets)


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
