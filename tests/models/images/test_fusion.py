"""Each fusion rule against its definition, written anew in numpy float64 from the rule's own weights."""

import numpy as np
import pytest
import torch

from certifuse.base.errors import UserError
from certifuse.base.registry import implementations
from certifuse.models.images.fusion.registry import PACKAGE, build_fusion
from certifuse.study.settings.fusion import FUSIONS, FusionModuleSettings

torch.set_num_threads(1)

EXPERTS, IMAGES, SIZE = 3, 5, 12
PLAIN = FusionModuleSettings()
every_rule = pytest.mark.parametrize("name", FUSIONS)


def randomised(name, settings=PLAIN, experts=EXPERTS, size=SIZE):
    """The rule with all parameters random, so that none is at a value that hides it."""
    module = build_fusion(name, experts, size, settings)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module.eval()


def random_features(experts=EXPERTS, size=SIZE):
    return torch.randn(experts, IMAGES, size, generator=torch.Generator().manual_seed(1))


# ---- definitions ---------------------------------------------------------------------------------


def standardised(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def softmax(x):
    exponentials = np.exp(x - x.max())
    return exponentials / exponentials.sum()


def linear(x, w, name):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def mlp(x, w):
    return linear(np.maximum(linear(x, w, "mlp.0"), 0), w, "mlp.3")


def layer_norms(x, w):
    return [standardised(x[i]) * w["norm.scale_E1d"][i, 0] + w["norm.shift_E1d"][i, 0] for i in range(len(x))]


def layer_norm(x, w, name):
    return standardised(x) * w[f"{name}.weight"] + w[f"{name}.bias"]


def multiplicative(x, w):
    return mlp(np.prod(layer_norms(x, w), axis=0), w)


def multiplicative_shifted(x, w):
    return mlp(np.prod([factor + 1 for factor in layer_norms(x, w)], axis=0), w)


def multiplicative_addition(x, w):
    factors = layer_norms(x, w)
    mean = sum(share * factor for share, factor in zip(softmax(w["weights_E"]), factors, strict=True))
    return mlp(np.prod(factors, axis=0) + mean, w)


def simple_addition(x, w):
    return mlp(sum(share * feature for share, feature in zip(softmax(w["weights_E"]), x, strict=True)), w)


def concatenation(x, w):
    return mlp(np.concatenate(layer_norms(x, w), axis=-1), w)


def transformer(x, w, heads, cross):
    """One image, one head and one query at a time."""
    experts, images, size = x.shape
    width = size // heads
    fused = np.zeros((images, size))
    for image in range(images):
        tokens = x[:, image]
        query, key, value = np.split(linear(layer_norm(tokens, w, "attention_norm"), w, "query_key_value"), 3, axis=-1)
        mixed = np.zeros_like(tokens)
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            for token in range(experts):
                seen = list(range(experts)) if cross else [token]
                shares = softmax(np.array([query[token, part] @ key[other, part] for other in seen]) / np.sqrt(width))
                mixed[token, part] = sum(share * value[other, part] for share, other in zip(shares, seen, strict=True))
        tokens = tokens + linear(mixed, w, "attention_output")
        tokens = tokens + mlp(layer_norm(tokens, w, "mlp_norm"), w)
        fused[image] = layer_norm(tokens, w, "norm").mean(axis=0)
    return fused


DEFINITIONS = {
    "multiplicative": multiplicative,
    "multiplicativeAddition": multiplicative_addition,
    "TransformerBase": lambda x, w: transformer(x, w, heads=6, cross=True),  # 6: the largest divisor of 12 up to 8
    "concatenation": concatenation,
    "simpleAddition": simple_addition,
    "multiplicativeShifted": multiplicative_shifted,
    "averagePlusConcatenation": concatenation,
    "averagePlusTransformerBase": lambda x, w: transformer(x, w, heads=6, cross=True),
}


def by_definition(definition, features, module):
    weights = {key: value.double().numpy() for key, value in module.state_dict().items()}
    return definition(features.double().numpy(), weights)


def close(found, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-5 * scale)


def test_names_are_those_of_the_settings():
    assert set(implementations(PACKAGE, "RULE")) == set(FUSIONS)


@pytest.mark.parametrize("name", ["concatenate", "parts", "registry", "../fusion/concatenation", "", None])
def test_what_is_no_rule_is_refused_with_the_nearest_that_is(name):
    with pytest.raises(UserError, match=r"^fusion rule: expected one of TransformerBase, averagePlusConcat") as refused:
        build_fusion(name, EXPERTS, SIZE, PLAIN)
    assert ("did you mean 'concatenation'?" in str(refused.value)) == (name is not None and "concat" in name)


@every_rule
@pytest.mark.parametrize("experts", [1, 3])
def test_rule_by_value(name, experts):
    module, features = randomised(name, experts=experts), random_features(experts)
    close(module(features), by_definition(DEFINITIONS[name], features, module))


def test_transformer_without_cross_expert_attention_by_value():
    module = randomised("TransformerBase", FusionModuleSettings(cross_expert_attention=False, attention_heads=2))
    features = random_features()
    close(module(features), by_definition(lambda x, w: transformer(x, w, heads=2, cross=False), features, module))


def test_product_by_hand():
    module = randomised("multiplicative", experts=2, size=2)
    with torch.no_grad():
        module.norm.scale_E1d.copy_(torch.tensor([[[2.0, 2.0]], [[1.0, 1.0]]]))
        module.norm.shift_E1d.zero_()
        module.mlp[0].weight.copy_(torch.tensor([[-1.0, 0.0], [0.0, 1.0]]))
        module.mlp[0].bias.copy_(torch.tensor([0.0, 3.0]))
        module.mlp[3].weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        module.mlp[3].bias.copy_(torch.tensor([0.5, 0.0]))
    # LN (1, 3) = (-1, 1), times 2; LN (5, 1) = (1, -1); product (-2, -2); hidden (2, 1); output (4.5, 10).
    features = torch.tensor([[[1.0, 3.0]], [[5.0, 1.0]]])
    torch.testing.assert_close(module(features), torch.tensor([[4.5, 10.0]]), rtol=1e-4, atol=0)


def test_learnt_weights_start_equal():
    for name in ("simpleAddition", "multiplicativeAddition"):
        assert build_fusion(name, 4, SIZE, PLAIN).weights_E.tolist() == [1, 1, 1, 1]


# ---- symmetry ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "symmetric"),
    [(name, not name.lower().endswith("concatenation")) for name in FUSIONS],
)
def test_fresh_rules_but_concatenation_do_not_depend_on_the_order_of_experts(name, symmetric):
    torch.manual_seed(0)
    module, features = build_fusion(name, EXPERTS, SIZE, PLAIN).eval(), random_features()
    assert torch.allclose(module(features), module(features[[2, 0, 1]]), atol=1e-5) == symmetric


def test_simple_addition_with_unequal_weights_is_not_symmetric():
    module, features = randomised("simpleAddition"), random_features()
    assert not torch.allclose(module(features), module(features[[2, 0, 1]]), atol=1e-2)


# ---- attention -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cross", [True, False])
def test_tokens_depend_on_other_experts_only_with_cross_expert_attention(cross):
    module = randomised("TransformerBase", FusionModuleSettings(cross_expert_attention=cross))
    features = random_features()
    perturbed = features.clone()
    perturbed[1] += torch.linspace(-1, 1, SIZE)
    before, after = module.tokens(features), module.tokens(perturbed)
    assert not torch.allclose(before[:, 1], after[:, 1], atol=1e-2)
    for other in (0, 2):
        assert torch.equal(before[:, other], after[:, other]) == (not cross)
        assert torch.allclose(before[:, other], after[:, other], atol=1e-3) == (not cross)


def test_attention_mask_is_no_part_of_the_stored_weights():
    on = build_fusion("TransformerBase", EXPERTS, SIZE, PLAIN)
    off = build_fusion("TransformerBase", EXPERTS, SIZE, FusionModuleSettings(cross_expert_attention=False))
    off.load_state_dict(on.state_dict())
    assert off.visible_EE.tolist() == [[True, False, False], [False, True, False], [False, False, True]]
    assert on.visible_EE.all()


@pytest.mark.parametrize(("size", "heads", "expected"), [(512, 8, 8), (12, 8, 6), (7, 8, 7), (11, 8, 1), (4, 8, 4)])
def test_heads_are_the_largest_divisor(size, heads, expected):
    settings = FusionModuleSettings(attention_heads=heads)
    assert build_fusion("TransformerBase", 2, size, settings).heads == expected


# ---- settings ------------------------------------------------------------------------------------


@every_rule
def test_sizes_of_hidden_layer_and_projection(name):
    def hidden_size(settings):
        module = build_fusion(name, EXPERTS, SIZE, settings)
        assert (module.experts, module.feature_dim) == (EXPERTS, SIZE)
        assert module(random_features()).shape == (IMAGES, module.output_dim)
        return getattr(module, "rule", module).mlp[0].out_features, module.output_dim

    assert hidden_size(PLAIN) == (SIZE, SIZE)
    assert hidden_size(FusionModuleSettings(hidden_dim=5)) == (5, SIZE)
    assert hidden_size(FusionModuleSettings(input_dim=8)) == (8, 8)
    assert hidden_size(FusionModuleSettings(input_dim=8, hidden_dim=5)) == (5, 8)


@every_rule
def test_projection_by_value(name):
    module, features = randomised(name, FusionModuleSettings(input_dim=8)), random_features()
    projected = torch.stack(
        [feature @ p.weight.T + p.bias for feature, p in zip(features, module.projections, strict=True)]
    )
    torch.testing.assert_close(module(features), module.rule(projected), rtol=1e-4, atol=1e-3)


@every_rule
def test_dropout_acts_in_training_only(name):
    torch.manual_seed(0)
    module, features = build_fusion(name, EXPERTS, SIZE, PLAIN), random_features()
    assert not torch.equal(module(features), module(features))
    module.eval()
    assert torch.equal(module(features), module(features))
    without = build_fusion(name, EXPERTS, SIZE, FusionModuleSettings(dropout=0.0))
    assert torch.equal(without(features), without(features))


# ---- gradients and precision ---------------------------------------------------------------------


@every_rule
@pytest.mark.parametrize("input_dim", [None, 8])
def test_gradients_reach_every_parameter_and_every_expert(name, input_dim):
    torch.manual_seed(0)
    module = build_fusion(name, EXPERTS, SIZE, FusionModuleSettings(input_dim=input_dim))
    features = random_features().requires_grad_()
    (module(features) * torch.randn(IMAGES, module.output_dim)).sum().backward()
    assert not [key for key, parameter in module.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert (features.grad.abs().sum(dim=(1, 2)) > 0).all()


def test_gradient_of_a_product_with_zeros():
    """d/dx_i of a product is the product of the others, also where factors are zero."""
    module = randomised("multiplicativeShifted", experts=3, size=4)
    with torch.no_grad():
        module.norm.scale_E1d.zero_()
        module.norm.shift_E1d.copy_(torch.tensor([[[-1.0, -1, 1, 1]], [[1.0, -1, 2, 2]], [[2.0, 2, -1, 3]]]))
    collected = []
    module.mlp.register_forward_pre_hook(lambda _, inputs: collected.append(inputs[0]))
    module(random_features(3, 4))
    collected[0][0].sum().backward()
    # Factors plus one: (0, 0, 2, 2), (2, 0, 3, 3), (3, 3, 0, 4).
    expected = [[6.0, 0, 0, 12], [0, 0, 0, 8], [0, 0, 6, 6]]
    assert module.norm.shift_E1d.grad[:, 0].tolist() == expected


@every_rule
def test_combination_stays_in_fp32_under_autocast(name):
    module, features = randomised(name), random_features().bfloat16()
    seen = []
    first_layer = module.attention_norm if name.endswith("TransformerBase") else module.mlp
    first_layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    outside = module(features.float())
    with torch.autocast("cpu", torch.bfloat16):
        inside = module(features)
    assert seen[1].dtype == torch.float32
    assert torch.equal(seen[0], seen[1])
    difference = (inside.float() - outside).abs().max() / outside.abs().max()
    assert difference < 0.05
