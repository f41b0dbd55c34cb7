"""GPT-2 against its formulas in double precision, causality, sizes, the seeded start, the settings."""

import math

import numpy as np
import pytest
import torch

from certifuse.base import machine as memory
from certifuse.base.errors import UserError
from certifuse.base.randomness import numpy_stream
from certifuse.models.language.gpt2 import Gpt2, build_gpt2
from certifuse.study.reading.problems import read_settings
from certifuse.study.settings.language_models import GPT2_SIZES, LanguageModelSettings

TINY = LanguageModelSettings(layers=2, heads=3, width=12, context=7)
VOCABULARY = 11
TOKENS = torch.tensor([[1, 10, 3, 3, 0, 7, 2], [5, 4, 3, 2, 1, 0, 9]])


def layer_norm(x, scale):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * scale


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def causal_attention(x, weights, prefix, heads):
    """One sequence (T, C), one head and one position after the other."""
    q, k, v = (x @ weights[f"{prefix}.{name}.weight"].T for name in ("query", "key", "value"))
    size, mixed = x.shape[1] // heads, np.zeros_like(x)
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        for t in range(len(x)):
            scores = np.exp(k[: t + 1, own] @ q[t, own] / math.sqrt(size))
            mixed[t, own] = (scores / scores.sum()) @ v[: t + 1, own]
    return mixed @ weights[f"{prefix}.output.weight"].T


def by_definition(network, tokens_T, heads):
    """Logits (T, V) in double precision, from the formulas alone."""
    weights = {name: value.detach().double().numpy() for name, value in network.state_dict().items()}
    x = weights["token_embedding.weight"][tokens_T] + weights["position_embedding.weight"][: len(tokens_T)]
    for layer in range(len(network.blocks)):
        block = f"blocks.{layer}"
        normed = layer_norm(x, weights[f"{block}.attention_norm.weight"])
        x = x + causal_attention(normed, weights, f"{block}.attention", heads)
        hidden = gelu(layer_norm(x, weights[f"{block}.mlp_norm.weight"]) @ weights[f"{block}.mlp.expand.weight"].T)
        x = x + hidden @ weights[f"{block}.mlp.contract.weight"].T
    return layer_norm(x, weights["norm.weight"]) @ weights["token_embedding.weight"].T


def randomised(settings=TINY):
    """Weights large enough that every part of the network matters."""
    network = build_gpt2(settings, VOCABULARY, seed=3)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(numpy_stream(0, name).normal(parameter.ndim == 1, 0.5, parameter.shape)))
    return network


def test_logits_by_value():
    network = randomised()
    expected = np.stack([by_definition(network, sequence, TINY.heads) for sequence in TOKENS.numpy()])
    found = network(TOKENS).detach().double().numpy()
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    np.testing.assert_allclose(network(TOKENS[:, :3]).detach().double().numpy(), expected[:, :3], rtol=0, atol=2e-5)


def test_a_prediction_depends_on_no_later_token():
    network, changed = randomised(), TOKENS.clone()
    changed[:, 4] = 8
    before, after = network(TOKENS), network(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:], atol=1e-2)


def test_logits_of_a_range_are_a_part_of_all():
    network = randomised()
    hidden = network.hidden_states(TOKENS)
    pieces = [network.logits(hidden, slice(start, start + 4)) for start in range(0, VOCABULARY, 4)]
    torch.testing.assert_close(torch.cat(pieces, -1), network(TOKENS))


def test_longer_than_the_context_is_refused():
    with pytest.raises(ValueError, match="at most the context of 7, got 8"):
        randomised()(torch.zeros(1, 8, dtype=torch.long))


# ---- size and start ------------------------------------------------------------------------------


def test_published_sizes():
    counts = {}
    for size in GPT2_SIZES:
        with torch.device("meta"):
            network = Gpt2(LanguageModelSettings(size=size), 50257)
        counts[size] = sum(parameter.numel() for parameter in network.parameters())
    width, layers = 768, 12
    by_hand = (50257 + 1024) * width + layers * (12 * width**2 + 2 * width) + width
    assert counts["gpt2_small"] == by_hand == 124_337_664
    # The published networks have biases too: per layer 4 width in the attention, 5 in the MLP, 2 in the norms.
    published = {"gpt2_small": 124_439_808, "gpt2_medium": 354_823_168, "gpt2_large": 774_030_080}
    for size, total in {**published, "gpt2_xl": 1_557_611_200}.items():
        model = LanguageModelSettings(size=size)
        assert counts[size] + model.layers * 11 * model.width + model.width == total


def test_a_network_larger_than_the_memory_is_refused(monkeypatch):
    weights_bytes = 4 * sum(parameter.numel() for parameter in build_gpt2(TINY, VOCABULARY, seed=0).parameters())
    monkeypatch.setattr(memory, "memory_bytes", lambda: weights_bytes)
    build_gpt2(TINY, VOCABULARY, seed=0)
    monkeypatch.setattr(memory, "memory_bytes", lambda: weights_bytes - 1)
    with pytest.raises(UserError, match=f"needs {weights_bytes} bytes of memory, this machine has {weights_bytes - 1}"):
        build_gpt2(TINY, VOCABULARY, seed=0)


def test_the_start_is_gpt2_s():
    settings = LanguageModelSettings(layers=8, heads=2, width=64, context=32)
    network = build_gpt2(settings, 500, seed=0)
    assert network.head.weight is network.token_embedding.weight
    for name, parameter in network.named_parameters():
        if parameter.ndim == 1:
            assert (parameter == 1).all()
        else:
            residual = name.endswith(("attention.output.weight", "mlp.contract.weight"))
            std = 0.02 / (4 if residual else 1)
            assert float(parameter.detach().std()) == pytest.approx(std, rel=0.05), name
            assert abs(float(parameter.detach().mean())) < 5 * std / math.sqrt(parameter.numel())


def test_the_start_is_a_function_of_the_seed_alone():
    def weights(seed):
        return torch.cat(
            [parameter.detach().flatten() for parameter in build_gpt2(TINY, VOCABULARY, seed).parameters()]
        )

    torch.manual_seed(0)
    first, drawn = weights(1), torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(3), drawn), "the global generator was used"
    assert torch.equal(weights(1), first)
    assert not torch.equal(weights(2), first)
    network = build_gpt2(TINY, VOCABULARY, 1)
    first_block, second_block = (block.attention.query.weight for block in network.blocks)
    assert not torch.allclose(first_block, second_block, atol=1e-2)


def test_the_numbers_of_a_seed_never_change():
    """A model is rebuilt from its seed: these values are part of the format."""
    network = build_gpt2(TINY, VOCABULARY, seed=42)
    embedding, contract = network.token_embedding.weight[0, :3], network.blocks[1].mlp.contract.weight[0, :3]
    assert embedding.tolist() == pytest.approx([-0.014703347, -0.021054864, -0.004586945], abs=2e-9)
    assert contract.tolist() == pytest.approx([0.001709839, -0.014528694, 0.005381812], abs=2e-9)


# ---- settings ------------------------------------------------------------------------------------


def test_a_size_fills_what_is_not_set():
    medium = LanguageModelSettings(size="gpt2_medium", context=256)
    assert (medium.layers, medium.heads, medium.width, medium.context) == (24, 16, 1024, 256)
    assert LanguageModelSettings.from_json(medium.model_dump_json()) == medium
    small = LanguageModelSettings()
    assert small == LanguageModelSettings(size="gpt2_small").model_copy(update={"size": None})


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"width": 10, "heads": 3}, "config: width: expected a multiple of heads = 3, found 10"),
        ({"size": "gpt2_tiny"}, "size: expected one of gpt2_small, gpt2_medium, gpt2_large, gpt2_xl, found"),
        ({"depth": 3}, "depth: unknown key"),
        ({"width": 24, "lora": {"rank": 25}}, "lora.rank: expected at most the width = 24, found 25"),
        ({"lora": {"rank": 0}}, "lora.rank: expected a value greater than or equal to 1, found 0"),
    ],
)
def test_refused_settings(values, problem):
    with pytest.raises(UserError) as error:
        read_settings(LanguageModelSettings, values, "config")
    assert problem in str(error.value)
