"""N-gram tables as bitstreams: log-probabilities on a quantiser's levels, coded as any other vector.

unigram: one logit for every token. bigram: a unigram and, for the B commonest tokens by its decoded logits, a block of
B x B corrections: row u, column v is added to the logit of v after u. Everything outside the block follows the
unigram. Each part is one message of `codec`, which delimits itself, so a bigram's two messages delimit themselves too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from certifuse.base.errors import UserError
from certifuse.certificates.coding.codec import decode, encode, join_messages, part_messages
from certifuse.data.text.windows import FlatDocuments, flatten
from certifuse.evaluation.bounds.ledger import Charge, Ledger
from certifuse.evaluation.language.token_scores import TokenScores
from certifuse.models.subspace.codebook import nearest_level
from certifuse.models.subspace.quantisation import fit_codebook

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SMOOTHING_SHARE = 0.01
"""Share of the probability that is spread over all tokens (unigram) or as the unigram has it (bigram). It narrows the
range of the logits, and with it the code, for a hundredth of a bit of loss."""
LARGEST_BLOCK = 128
"""Of a bigram, in tokens: what a decoder may be asked to hold."""
FEW = 50.0
"""A context of the bigram is smoothed as if it had been seen this many times more, too."""


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
    """Occurrences of each token, (V,)."""
    return np.bincount(documents.targets_S, minlength=vocabulary).astype(np.int64)


def bigram_counts(documents: FlatDocuments, vocabulary: int, contexts: Ints) -> Ints:
    """Occurrences of each token after each of `contexts` (C,), input tokens without repetition: (C, V)."""
    row_of = np.full(int(max(contexts.max(), documents.inputs_S.max())) + 1, -1)
    row_of[contexts] = np.arange(contexts.size)
    row_S = row_of[documents.inputs_S]
    pairs = row_S[row_S >= 0] * vocabulary + documents.targets_S[row_S >= 0]
    return np.bincount(pairs, minlength=contexts.size * vocabulary).reshape(contexts.size, vocabulary).astype(np.int64)


@dataclass(frozen=True)
class CodedNgram:
    """A decoded model and the bits of its messages."""

    model: NgramModel
    ledger: Ledger


def encode_unigram(parts: Iterable[FlatDocuments], vocabulary: int, levels: int = 12) -> bytes:
    """The bitstream of the token frequencies of all documents, on `levels` equally spaced logits.

    The message tells its own sizes, so no choice of levels (or of the block of a bigram) costs a further bit.
    """
    counts_V = np.sum([unigram_counts(part, vocabulary) for part in parts], axis=0)
    logits_V = np.log(counts_V + SMOOTHING_SHARE * counts_V.mean())
    # Logits mean the same whatever is added to all of them, so they are centred for the codebook.
    return _encode_logits(logits_V - 0.5 * (logits_V.max() + logits_V.min()), levels)


def encode_bigram(
    parts: Iterable[FlatDocuments], vocabulary: int, levels: int = 12, block: int = 24, block_levels: int = 9
) -> bytes:
    """The bitstream of a unigram and a block of `block` x `block` corrections on `block_levels` logits around zero.

    The documents are gone through twice. `block_levels` is odd, so that no correction is one of the levels. ValueError
    for other sizes.
    """
    largest = min(vocabulary, LARGEST_BLOCK)
    if block_levels % 2 == 0 or not 1 <= block <= largest:
        raise ValueError(
            f"bigram: expected an odd number of levels and 1 <= block <= {largest}, got {block_levels} and {block}"
        )
    first = encode_unigram(parts, vocabulary, levels)
    logits_V = decode(first).values.astype(np.float64)
    common_B = commonest(logits_V, block)
    counts_BV = np.sum([bigram_counts(part, vocabulary, common_B) for part in parts], axis=0)
    second = _encode_logits(block_corrections(counts_BV, logits_V, common_B).ravel(), block_levels)
    return join_messages(first, second)


def decode_unigram(data: bytes, vocabulary: int) -> CodedNgram:
    """The inverse of `encode_unigram`; UserError where the message is not of `vocabulary` logits."""
    coded = decode(data, longest=vocabulary)
    logits_V = _sized(coded.values, vocabulary)
    return CodedNgram(NgramModel(logits_V[None, :]), Ledger(coded.charges))


def decode_bigram(data: bytes, vocabulary: int, start: int) -> CodedNgram:
    """The inverse of `encode_bigram`: a row for all contexts outside of the block, `start` among them, and its own."""
    unigram, corrections = part_messages(data, "a bigram")
    largest = min(vocabulary, LARGEST_BLOCK)
    first, second = decode(unigram, longest=vocabulary), decode(corrections, longest=largest**2)
    logits_V = _sized(first.values, vocabulary)
    block = round(float(np.sqrt(len(second.values))))
    if not 1 <= block <= largest:
        raise UserError(f"bitstream: expected a block of 1 to {largest} tokens, got {block}")
    corrections_BB = _sized(second.values, block * block).reshape(block, block)
    common_B = commonest(logits_V, block)
    logits_RV = np.tile(logits_V, (1 + block, 1))
    logits_RV[1:, common_B] += corrections_BB
    row_of_C = np.zeros(max(vocabulary, start + 1), dtype=np.int64)
    row_of_C[common_B] = 1 + np.arange(block)
    rows = [Charge(f"{part} {c.name}", c.bits) for part, coded in (("unigram", first), ("bigram", second))
            for c in coded.charges]  # fmt: skip
    return CodedNgram(NgramModel(logits_RV, row_of_C), Ledger(tuple(rows)))


def commonest(logits_V: Floats, block: int) -> Ints:
    """The `block` tokens with the highest logits; of equal ones the lower index comes first."""
    return np.argsort(-logits_V, kind="stable")[:block].astype(np.int64)


def block_corrections(counts_BV: Ints, logits_V: Floats, common_B: Ints) -> Floats:
    """Corrections (B, B) under which every context gives the tokens of the block their smoothed frequencies.

    What is left goes to the other tokens in the proportions of the unigram, whose logits stay as they are:
    correction = ln(p(v | u) / p(v)) - ln(p(rest | u) / p(rest)).
    """
    unigram_V = np.exp(logits_V - logits_V.max())
    unigram_V /= unigram_V.sum()
    added_B1 = FEW + SMOOTHING_SHARE * counts_BV.sum(axis=1, keepdims=True)
    smoothed_BV = counts_BV + added_B1 * unigram_V
    smoothed_BV /= smoothed_BV.sum(axis=1, keepdims=True)
    inside_BB, rest_B1 = smoothed_BV[:, common_B], 0.0
    if len(common_B) < len(logits_V):
        rest = np.setdiff1d(np.arange(len(logits_V)), common_B)
        rest_B1 = np.log(smoothed_BV[:, rest].sum(axis=1, keepdims=True) / unigram_V[rest].sum())
    return np.asarray(np.log(inside_BB / unigram_V[common_B]) - rest_B1)


def _encode_logits(logits: Floats, levels: int) -> bytes:
    codebook = fit_codebook(logits, levels, "uniform")
    return encode(nearest_level(logits, codebook), codebook)


def _sized(values: NDArray[np.float32], expected: int) -> Floats:
    if len(values) != expected:
        raise UserError(f"bitstream: expected {expected} logits, got {len(values)}")
    return values.astype(np.float64)
