"""LoRA against merged weights and dense autograd, its start, its sizes, its dropout."""

import math

import pytest
import torch
from torch.nn import functional

from certifuse.models.language.gpt2 import Gpt2, build_gpt2
from certifuse.models.language.lora import LoraLinear, add_lora
from certifuse.study.settings.language_models import LanguageModelSettings, LoraSettings

TINY = LanguageModelSettings(layers=2, heads=2, width=8, context=6)
LORA = LoraSettings(rank=3, alpha=6.0)
VOCABULARY = 13
TOKENS = torch.tensor([[1, 12, 3, 3, 0, 7], [5, 4, 3, 2, 1, 0]])


def adapted(lora=LORA, seed=0):
    network = build_gpt2(TINY, VOCABULARY, seed)
    groups = add_lora(network, lora, seed)
    return network, groups


def with_random_b(network):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("b_Or"):
                parameter.normal_(generator=generator)
    return network


def merged(network):
    """A plain network with W0 + (alpha / r) B A; the head is a copy, so nothing is tied any more."""
    plain = build_gpt2(TINY, VOCABULARY, seed=0)
    plain.head.weight = torch.nn.Parameter(plain.head.weight.detach().clone())
    modules = dict(plain.named_modules())
    for name, module in network.named_modules():
        if isinstance(module, LoraLinear):
            modules[name].weight = torch.nn.Parameter(module.base.weight + 2.0 * module.b_Or @ module.a_rI)
    return plain


def test_sizes_of_gpt2_small():
    with torch.device("meta"):
        network = Gpt2(LanguageModelSettings(size="gpt2_small"), 50304)
        groups = add_lora(network, LoraSettings(), seed=0)
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert [group.name for group in groups] == [*(f"layer_{index}" for index in range(12)), "head"]
    assert sum(sizes[name] for group in groups for name in group.a_names) == 76_800
    assert sum(sizes[name] for group in groups for name in group.b_names) == 274_944
    assert [sizes[name] for name in groups[-1].b_names] == [201_216]
    assert sum(sizes.values()) == 76_800 + 274_944


def test_sizes_of_the_first_trial():
    network = build_gpt2(LanguageModelSettings(layers=4, heads=4, width=128, context=256), 256, seed=0)
    add_lora(network, LoraSettings(), seed=0)
    assert sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad) == 9_728


def test_only_lora_weights_are_trained_and_the_start_is_the_base():
    network, groups = adapted()
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert trained == {name for group in groups for name in (*group.a_names, *group.b_names)}
    assert trained == {name for name, _ in network.named_parameters() if name.endswith(("a_rI", "b_Or"))}
    assert torch.equal(network(TOKENS), build_gpt2(TINY, VOCABULARY, seed=0)(TOKENS))


def test_logits_are_those_of_the_merged_weights():
    network = with_random_b(adapted()[0])
    expected = merged(network)(TOKENS)
    torch.testing.assert_close(network(TOKENS), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(expected, build_gpt2(TINY, VOCABULARY, seed=0)(TOKENS), atol=0.1)
    hidden = network.hidden_states(TOKENS)
    torch.testing.assert_close(network.logits(hidden, slice(4, 9)), expected[..., 4:9], rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_the_merged_weights():
    """dL/dB = (alpha / r) G A^T and dL/dA = (alpha / r) B^T G, with G = dL/dW of a dense network."""
    network = with_random_b(adapted()[0])
    plain = merged(network)
    for model in (network, plain):
        functional.cross_entropy(model(TOKENS).flatten(0, 1), TOKENS.flatten()).backward()
    dense = dict(plain.named_modules())
    for name, module in network.named_modules():
        if isinstance(module, LoraLinear):
            gradient = dense[name].weight.grad
            torch.testing.assert_close(module.b_Or.grad, 2.0 * gradient @ module.a_rI.T, rtol=1e-3, atol=1e-6)
            torch.testing.assert_close(module.a_rI.grad, 2.0 * module.b_Or.T @ gradient, rtol=1e-3, atol=1e-6)
            assert module.base.weight.grad is None


def test_a_is_kaiming_uniform_from_streams_of_its_own():
    network, groups = adapted(LoraSettings(rank=500))
    matrices = [network.get_parameter(name).detach() for group in groups for name in group.a_names]
    assert len(matrices) == 5
    bound = 1 / math.sqrt(TINY.width)
    for index, matrix in enumerate(matrices):
        assert float(matrix.abs().max()) <= bound
        assert float(matrix.std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert all(not torch.allclose(matrix, other, atol=0.1) for other in matrices[:index])
    again = adapted(LoraSettings(rank=500))[0].get_parameter(groups[0].a_names[0])
    other = adapted(LoraSettings(rank=500), seed=1)[0].get_parameter(groups[0].a_names[0])
    assert torch.equal(again, matrices[0])
    assert not torch.allclose(other, matrices[0], atol=0.1)


def test_dropout_acts_in_training_only():
    """In the original, `eval` does not reach the wrapped network, and bounds are evaluated with dropout on."""
    network = with_random_b(adapted(LoraSettings(rank=3, alpha=6.0, dropout=0.5))[0])
    assert not torch.equal(network(TOKENS), network(TOKENS))
    network.eval()
    assert not any(module.training for module in network.modules())
    assert torch.equal(network(TOKENS), network(TOKENS))
    assert torch.equal(network(TOKENS), with_random_b(adapted()[0])(TOKENS))
