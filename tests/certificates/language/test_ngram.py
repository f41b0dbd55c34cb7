"""Coded n-gram tables: exact bits, exact decoding, lookups equal to a network's scores, corrections that are right."""

import math

import numpy as np
import pytest
import torch
from bitstreams import claiming
from torch import nn

from certifuse.base.errors import UserError
from certifuse.certificates.coding.codec import join_messages
from certifuse.certificates.language.ngram import (
    NgramModel,
    bigram_counts,
    block_corrections,
    commonest,
    decode_bigram,
    decode_unigram,
    encode_bigram,
    encode_unigram,
    uniform_model,
    unigram_counts,
)
from certifuse.data.text.windows import WindowRule, flatten
from certifuse.evaluation.language.document_scores import losses_bpd, unsmoothed_bpd
from certifuse.evaluation.language.token_scores import LanguageModel, score_tokens

VOCABULARY, START = 20, 20


@pytest.fixture(scope="module")
def documents():
    """A Markov chain: the commonest ten tokens follow each other in a pattern, the others come at random."""
    rng = np.random.default_rng(0)
    transition = rng.dirichlet(np.full(VOCABULARY, 0.3), VOCABULARY) * (0.7 ** np.arange(VOCABULARY))
    transition /= transition.sum(axis=1, keepdims=True)
    documents = []
    for size in rng.integers(20, 200, 100):
        tokens = [0]
        for _ in range(size - 1):
            tokens.append(int(rng.choice(VOCABULARY, p=transition[tokens[-1]])))
        documents.append(np.array(tokens))
    return documents


@pytest.fixture(scope="module")
def flat(documents):
    return flatten(documents, START, VOCABULARY)


def test_counts(documents):
    flat = flatten([np.array([1, 1, 2]), np.array([2, 1])], 3, 3)
    np.testing.assert_array_equal(unigram_counts(flat, 3), [0, 3, 2])
    np.testing.assert_array_equal(bigram_counts(flat, 3, np.array([1, 3])), [[0, 1, 1], [0, 1, 1]])


def test_the_uniform_model_is_the_vacuous_line(documents):
    scores = uniform_model(VOCABULARY).score(documents, START)
    np.testing.assert_allclose(losses_bpd(scores, (0.01, 0.5), VOCABULARY), math.log2(VOCABULARY), rtol=1e-12)
    assert (scores.rank_S == VOCABULARY - 1).all()


def test_a_unigram_costs_a_fraction_of_a_bit_over_the_entropy_and_pays_its_whole_message(documents, flat):
    data = encode_unigram([flat], VOCABULARY, levels=16)
    coded = decode_unigram(data, VOCABULARY)
    frequencies = unigram_counts(flat, VOCABULARY) / flat.targets_S.size
    entropy = -float((frequencies * np.log2(np.maximum(frequencies, 1e-300))).sum())
    loss = float((frequencies * coded.model.nll_nats[0]).sum()) / math.log(2)
    assert entropy < loss < entropy + 0.05
    message_bits = int.from_bytes(data[6:10], "big")
    assert coded.ledger.code_bits == sum(coded.ledger.rows().values()) == message_bits
    np.testing.assert_array_equal(decode_unigram(data, VOCABULARY).model.logits_RV, coded.model.logits_RV)


def test_documents_in_parts_give_the_same_bits(documents, flat):
    parts = [flatten(documents[:30], START, VOCABULARY), flatten(documents[30:], START, VOCABULARY)]
    assert encode_unigram(parts, VOCABULARY) == encode_unigram([flat], VOCABULARY)
    assert encode_bigram(parts, VOCABULARY, block=9) == encode_bigram([flat], VOCABULARY, block=9)
    assert encode_bigram(parts[:1], VOCABULARY, block=9) != encode_bigram([flat], VOCABULARY, block=9)


def test_a_bigram_follows_its_contexts_and_pays_both_messages(documents, flat):
    data = encode_bigram([flat], VOCABULARY, levels=16, block=12, block_levels=31)
    coded = decode_bigram(data, VOCABULARY, START)
    unigram = decode_unigram(encode_unigram([flat], VOCABULARY, levels=16), VOCABULARY)
    counts = bigram_counts(flat, VOCABULARY, np.arange(VOCABULARY + 1))
    conditional = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    entropy = -float((counts * np.log2(np.maximum(conditional, 1e-300))).sum()) / counts.sum()

    def loss(model: NgramModel) -> float:
        scores = model.score(documents, START)
        lengths = np.diff(scores.offsets)
        return float((unsmoothed_bpd(scores) * lengths).sum() / lengths.sum())

    assert entropy < loss(coded.model) < entropy + 0.15 < loss(unigram.model)
    rows = coded.ledger.rows()
    assert set(rows) == {f"{part} {name}" for part in ("unigram", "bigram")
                         for name in ("sizes", "codebook", "symbol model", "symbols")}  # fmt: skip
    first = int.from_bytes(data[:4], "big")
    messages = [int.from_bytes(part[6:10], "big") for part in (data[4 : 4 + first], data[4 + first :])]
    assert coded.ledger.code_bits == sum(messages)
    assert sum(bits for name, bits in rows.items() if name.startswith("unigram")) == unigram.ledger.code_bits


def test_exact_corrections_give_the_smoothed_conditional_frequencies(flat):
    logits_V = np.log(unigram_counts(flat, VOCABULARY) + 1.0)
    common_B = commonest(logits_V, 7)
    counts_BV = 10**9 * bigram_counts(flat, VOCABULARY, common_B)  # so many that smoothing is its share alone
    logits_BV = np.tile(logits_V, (7, 1))
    logits_BV[:, common_B] += block_corrections(counts_BV, logits_V, common_B)
    given_BV = np.exp(logits_BV) / np.exp(logits_BV).sum(axis=1, keepdims=True)
    unigram_V = np.exp(logits_V) / np.exp(logits_V).sum()
    smoothed_BV = counts_BV / counts_BV.sum(axis=1, keepdims=True) / 1.01 + unigram_V * 0.01 / 1.01
    np.testing.assert_allclose(given_BV[:, common_B], smoothed_BV[:, common_B], rtol=1e-4)
    rest = np.setdiff1d(np.arange(VOCABULARY), common_B)
    shares_BR = given_BV[:, rest] / given_BV[:, rest].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares_BR, np.tile(unigram_V[rest] / unigram_V[rest].sum(), (7, 1)), rtol=1e-9)


@pytest.mark.parametrize("bigram", [False, True])
def test_lookups_are_what_a_network_with_these_logits_scores(documents, flat, bigram):
    coded = (
        decode_bigram(encode_bigram([flat], VOCABULARY, block=10), VOCABULARY, START)
        if bigram
        else decode_unigram(encode_unigram([flat], VOCABULARY), VOCABULARY)
    )

    class Table(nn.Module):
        def forward(self, tokens_NT):
            rows = torch.from_numpy(coded.model.row_of_C)[tokens_NT] if bigram else torch.zeros_like(tokens_NT)
            return torch.from_numpy(coded.model.logits_RV).float()[rows]

    table = Table().eval()
    model = LanguageModel(table, table, lambda logits_MV: logits_MV, VOCABULARY)
    by_network = score_tokens(model, documents, WindowRule(context=50, stride=50), START)
    by_table = coded.model.score(documents, START)
    np.testing.assert_allclose(by_table.nll_nats_S, by_network.nll_nats_S, atol=1e-6)
    np.testing.assert_array_equal(by_table.rank_S, by_network.rank_S)
    np.testing.assert_array_equal(by_table.offsets, by_network.offsets)


def test_foreign_bitstreams_are_refused(flat):
    data = encode_unigram([flat], VOCABULARY)
    with pytest.raises(UserError, match="expected 21 logits, got 20"):
        decode_unigram(data, VOCABULARY + 1)
    with pytest.raises(UserError, match="expected the two messages"):
        decode_bigram(b"\x00\x00\xff\xff" + data, VOCABULARY, START)
    with pytest.raises(UserError, match="SHA-256"):
        decode_unigram(data[:-1] + bytes([data[-1] ^ 1]), VOCABULARY)
    with pytest.raises(UserError, match="expected at most 400 numbers, got 1000000000000"):
        decode_bigram(join_messages(data, claiming(10**12)), VOCABULARY, START)
    with pytest.raises(ValueError, match="odd number of levels"):
        encode_bigram([flat], VOCABULARY, block_levels=8)
