"""Against a slow, obviously right reference: one token at a time, in double precision, with every tie looked at."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from certifuse.data.text.windows import WindowRule, flatten, window_batches
from certifuse.evaluation.bounds.evidence import bpd_range
from certifuse.evaluation.language.document_scores import losses_bpd, top_k_errors, unsmoothed_bpd
from certifuse.evaluation.language.subsample import Subsample, draw_documents, draw_documents_by_length
from certifuse.evaluation.language.token_scores import LanguageModel, TokenScores, score_tokens

VOCABULARY, START, CONTEXT = 37, 37, 8
ALPHAS = (1e-4, 0.1, 0.5)
CUTOFFS = (1, 2, 3, 10, 50)


def of_logits(network: nn.Module, vocabulary: int) -> LanguageModel:
    """A network that maps tokens to logits (N, T, V')."""
    return LanguageModel(network, network, lambda logits_MV: logits_MV, vocabulary)


class CausalSum(nn.Module):
    """Logits from position and the sum of all tokens so far, in eighths: sums of any order are exact, and many tie."""

    def __init__(self, dropout: float = 0.0):
        super().__init__()
        generator = torch.Generator().manual_seed(0)

        def whole(rows: int) -> nn.Parameter:
            return nn.Parameter(torch.randint(-2, 3, (rows, 6), generator=generator).float())

        self.embedding, self.position, self.weight = whole(VOCABULARY + 1), whole(CONTEXT), whole(VOCABULARY + 1)
        self.unregistered = [nn.Dropout(dropout)]

    def hidden(self, tokens_NT):
        x = self.embedding[tokens_NT].cumsum(1) + self.position[: tokens_NT.shape[1]]
        return self.unregistered[0](x)

    def head(self, hidden):
        return hidden @ self.weight.T / 8.0

    def forward(self, tokens_NT):
        return self.head(self.hidden(tokens_NT))


@pytest.fixture(scope="module")
def network():
    return CausalSum().eval()


@pytest.fixture(scope="module")
def documents():
    rng = np.random.default_rng(1)
    return [rng.integers(VOCABULARY, size=size).astype(np.uint16) for size in (1, 8, 9, 3, 30, 16, 17, 2, 5, 64)]


def logits_one_by_one(network, document, rule):
    """The logits (V,) for each target: from the first window that reaches it."""
    inputs = [START, *map(int, document[:-1])]
    with torch.inference_mode():
        for t in range(len(document)):
            window = max(0, -(-(t + 1 - rule.context) // rule.stride))
            begin = window * rule.stride
            yield network(torch.tensor([inputs[begin : t + 1]]))[0, -1, :VOCABULARY].double()


def reference(network, documents, rule):
    losses = np.zeros((len(documents), len(ALPHAS)))
    errors = np.zeros((len(documents), len(CUTOFFS)))
    for row, document in enumerate(documents):
        for target, logits in zip(document, logits_one_by_one(network, document, rule), strict=True):
            probability = float(torch.softmax(logits, 0)[int(target)])
            others = [float(logit) for token, logit in enumerate(logits) if token != int(target)]
            rank = sum(logit >= float(logits[int(target)]) for logit in others)
            for column, alpha in enumerate(ALPHAS):
                losses[row, column] -= math.log2((1 - alpha) * probability + alpha / VOCABULARY) / len(document)
            for column, k in enumerate(CUTOFFS):
                errors[row, column] += (rank >= k) / len(document)
    return losses, errors


@pytest.mark.parametrize("stride", [CONTEXT, 5, 1])
@pytest.mark.parametrize("split_head", [True, False])
def test_equal_to_the_reference(network, documents, stride, split_head, monkeypatch):
    monkeypatch.setattr("certifuse.evaluation.language.token_scores.CPU_LOGITS", 7 * VOCABULARY)
    model = (
        LanguageModel(network, network.hidden, network.head, VOCABULARY)
        if split_head
        else of_logits(network, VOCABULARY)
    )
    rule = WindowRule(context=CONTEXT, stride=stride)
    scores = score_tokens(model, documents, rule, START, batch_tokens=20)
    losses, errors = reference(network, documents, rule)
    np.testing.assert_allclose(losses_bpd(scores, ALPHAS, VOCABULARY), losses, atol=1e-6, rtol=0)
    np.testing.assert_allclose(top_k_errors(scores, CUTOFFS), errors, atol=1e-12, rtol=0)
    assert errors[:, -1].max() == 0.0  # 50 is more than there are tokens


def test_ties_count_against_the_model(documents):
    class Constant(nn.Module):
        def forward(self, tokens_NT):
            return torch.zeros(*tokens_NT.shape, VOCABULARY)

    scores = score_tokens(of_logits(Constant().eval(), VOCABULARY), documents, WindowRule(context=8, stride=8), START)
    assert (scores.rank_S == VOCABULARY - 1).all()
    np.testing.assert_allclose(unsmoothed_bpd(scores), math.log2(VOCABULARY), atol=1e-6)
    np.testing.assert_allclose(losses_bpd(scores, ALPHAS, VOCABULARY), math.log2(VOCABULARY), atol=1e-6)


def test_a_large_vocabulary_loses_less_than_a_millionth_of_a_bit():
    class Wide(nn.Module):
        def forward(self, tokens_NT):
            return 4.0 * torch.randn(*tokens_NT.shape, 50_304, generator=torch.Generator().manual_seed(3))

    document = np.random.default_rng(0).integers(50_257, size=64)
    network = Wide().eval()
    rule = WindowRule(context=64, stride=64)
    scores = score_tokens(of_logits(network, 50_257), [document], rule, 0)
    logits = network(torch.zeros(1, 64, dtype=torch.long))[0, :, :50_257].double()
    expected = -torch.log_softmax(logits, -1)[torch.arange(64), torch.from_numpy(document)].numpy()
    assert np.abs(scores.nll_nats_S - expected).mean() < 0.5e-6
    assert np.abs(scores.nll_nats_S.mean() - expected.mean()) / math.log(2) < 1e-6


def test_smoothing_is_stable_at_both_ends_and_agrees_with_logaddexp():
    nll = np.array([0.0, 1e-12, 0.7, 30.0, 800.0, np.inf])
    scores = TokenScores(nll, np.zeros(6, dtype=np.int32), np.arange(7))
    for alpha in ALPHAS:
        low, width = bpd_range(alpha, 256)
        losses = losses_bpd(scores, [alpha], 256)[:, 0]
        exact = -np.logaddexp(math.log1p(-alpha) - nll, math.log(alpha / 256)) / math.log(2)
        np.testing.assert_allclose(losses, exact, rtol=1e-12)
        assert (losses[0], losses[-1]) == pytest.approx((low, low + width), rel=1e-12)
    with pytest.raises(ValueError, match="alpha"):
        losses_bpd(scores, [0.0], 256)


@pytest.mark.parametrize(("context", "stride"), [(8, 8), (8, 3), (5, 1), (1, 1)])
def test_windows_predict_every_target_once_with_the_context_they_promise(documents, context, stride):
    flat = flatten(documents, START, VOCABULARY)
    seen = np.zeros(flat.targets_S.size, dtype=int)
    for batch in window_batches(flat, WindowRule(context=context, stride=stride), batch_tokens=24, start=START):
        assert batch.tokens_NT.size <= max(24, context)
        seen[batch.places_S] += 1
        rows, columns = np.nonzero(batch.scored_NT)
        into_document = batch.places_S - flat.offsets[np.searchsorted(flat.offsets, batch.places_S, "right") - 1]
        assert (columns >= np.minimum(into_document, context - stride)).all()
        np.testing.assert_array_equal(batch.tokens_NT[rows, columns], flat.inputs_S[batch.places_S])
    assert (seen == 1).all()


def test_buckets_waste_little_padding():
    rng = np.random.default_rng(5)
    flat = flatten([np.zeros(size, dtype=int) for size in rng.integers(1, 200, 500)], 0, 1)
    batches = list(window_batches(flat, WindowRule(context=256, stride=256), batch_tokens=2048, start=0))
    assert sum(batch.tokens_NT.size for batch in batches) < 1.1 * flat.targets_S.size


def test_training_mode_and_hidden_dropout_are_refused(documents):
    rule = WindowRule(context=8, stride=8)

    def score(network):
        return score_tokens(of_logits(network, VOCABULARY), documents, rule, START)

    with pytest.raises(ValueError, match=r"call network.eval\(\)"):
        score(CausalSum())
    with pytest.raises(ValueError, match="two evaluations"):
        score(CausalSum(dropout=0.1).eval())
    wrapped = nn.Sequential(CausalSum()).eval()
    wrapped[0].train()
    with pytest.raises(ValueError, match="in all its parts"):
        score(wrapped)
    once, again = (score(CausalSum().eval()) for _ in range(2))
    np.testing.assert_array_equal(once.nll_nats_S, again.nll_nats_S)


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([np.array([1]), np.array([], dtype=int)], "document 1 is empty"),
        ([], "there is none"),
        ([np.array([VOCABULARY])], "got 37"),
        ([np.array([0.5])], "whole numbers"),
    ],
)
def test_documents_that_are_refused(documents, message):
    with pytest.raises(ValueError, match=message):
        flatten(documents, START, VOCABULARY)


def test_numbers_that_are_none_are_refused():
    class Broken(nn.Module):
        def forward(self, tokens_NT):
            return torch.where(tokens_NT[..., None] == START, 0.0, torch.nan).expand(-1, -1, VOCABULARY)

    model = of_logits(Broken().eval(), VOCABULARY)
    with pytest.raises(ValueError, match="NaN for 2 of 3"):
        score_tokens(model, [np.array([1, 2, 3])], WindowRule(context=8, stride=8), START)


def test_draws_are_seeded_and_as_probable_as_they_say():
    lengths = np.array([1, 3, 6])
    draws = draw_documents_by_length(lengths, 20_000, frozen="a")
    np.testing.assert_allclose(np.bincount(draws.drawn) / 20_000, lengths / 10, atol=0.015)
    uniform = draw_documents(3, 20_000, frozen="a")
    np.testing.assert_allclose(np.bincount(uniform.drawn) / 20_000, 1 / 3, atol=0.015)
    np.testing.assert_array_equal(uniform.drawn, draw_documents(3, 20_000, frozen="a").drawn)
    assert (uniform.drawn != draw_documents(3, 20_000, frozen="b").drawn).any()


def test_only_distinct_documents_need_scores():
    draw = Subsample(np.array([7, 2, 7, 9]))
    np.testing.assert_array_equal(draw.distinct, [2, 7, 9])
    np.testing.assert_array_equal(draw.spread(np.array([[0.2], [0.7], [0.9]])), [[0.7], [0.2], [0.7], [0.9]])
