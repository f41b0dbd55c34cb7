"""The allocation modes against dense matrices, formulas and brute force."""

import math

import numpy as np
import pytest
import torch
from torch.func import functional_call
from torch.nn import functional

from certifuse.base.errors import UserError
from certifuse.models.language.gpt2 import build_gpt2
from certifuse.models.language.lora import add_lora
from certifuse.models.subspace import block_projector as blocks
from certifuse.models.subspace import modes
from certifuse.models.subspace.allocation import Structure
from certifuse.models.subspace.modes import MODES, build_sublora
from certifuse.models.subspace.quantisation import straight_through
from certifuse.study.reading.problems import read_settings
from certifuse.study.settings.language_models import AllocationSettings, LanguageModelSettings, LoraSettings

MODEL = LanguageModelSettings(layers=2, heads=2, width=8, context=6, lora=LoraSettings(rank=2, alpha=16.0))
VOCABULARY, D, D_B = 13, 170, 90
TOKENS = torch.tensor([[1, 12, 3, 3, 0, 7], [5, 4, 3, 2, 1, 0]])


def build(mode, budget=20, model=MODEL, seed=0, **changes):
    settings = {"mode": mode, **({"ratio": 0.2} if mode == "fixed" else {}), **changes}
    budget = None if mode == "lora_only" else budget
    return build_sublora(model, AllocationSettings(**settings), vocabulary=VOCABULARY, budget=budget, seed=seed)


def hardened(mode, *arguments, **keywords):
    model = build(mode, *arguments, **keywords)
    model.anneal(1.0)
    return model


def with_random_w(model, scale=1.0):
    with torch.no_grad():
        model.w.normal_(0, scale, generator=torch.Generator().manual_seed(1))
    return model


def called_at(model, w):
    return functional_call(model.network, model.parameters_at(w), (TOKENS,))


def loss_of(logits_NTV):
    return functional.cross_entropy(logits_NTV[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten())


def flat(parameters):
    return torch.cat([value.flatten() for value in parameters.values()])


def dense_map(model):
    """P as a matrix (D, d), column by column, and which rows belong to B."""
    d = len(model.w)
    with torch.no_grad():
        theta0 = flat(model.parameters_at(torch.zeros(d)))
        columns = [flat(model.parameters_at(unit)) - theta0 for unit in torch.eye(d)]
        of_b = torch.cat(
            [torch.full((v.numel(),), n.endswith("b_Or")) for n, v in model.parameters_at(torch.zeros(d)).items()]
        )
    return torch.stack(columns, 1), of_b


@pytest.fixture(params=["dense", "kronecker"])
def block_kind(request, monkeypatch):
    """Small blocks are dense; without that, Kronecker products are."""
    if request.param == "kronecker":
        monkeypatch.setattr(blocks, "DENSE_NUMBERS", 0)


# ---- the same start, the right directions --------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_starts_at_the_same_function(mode):
    model = build(mode)
    assert torch.equal(model(TOKENS), build_gpt2(MODEL, VOCABULARY, seed=0)(TOKENS))
    assert not model.w.any()


@pytest.mark.parametrize(
    ("mode", "budget"),
    [
        *((mode, 20) for mode in MODES if mode != "subspace_only"),
        *((mode, budget) for mode in ("uniform", "proportional", "learned") for budget in (100, D)),
    ],
)
def test_directions_by_brute_force(mode, budget, block_kind):
    model = hardened(mode, budget)
    matrix, of_b = dense_map(model)
    d = len(model.w)
    directions = model.effective_directions()
    assert sum(directions.values()) == d == (D if mode == "lora_only" else budget)
    torch.testing.assert_close(matrix.T @ matrix, torch.eye(d), rtol=0, atol=3e-6)
    assert np.linalg.matrix_rank(matrix.numpy(), tol=1e-3) == d
    if "joint" not in directions:
        assert np.linalg.matrix_rank(matrix[of_b].numpy(), tol=1e-3) == directions["B"]
        assert np.linalg.matrix_rank(matrix[~of_b].numpy(), tol=1e-3) == directions["A"]


def test_soft_gates_keep_every_direction():
    matrix, _ = dense_map(build("learned"))
    assert np.linalg.matrix_rank(matrix.numpy(), tol=1e-3) == 20


def test_subspace_only_moves_all_base_weights():
    model = build("subspace_only", 30)
    matrix, _ = dense_map(model)
    assert matrix.shape == (sum(p.numel() for p in build_gpt2(MODEL, VOCABULARY, 0).parameters()), 30)
    torch.testing.assert_close(matrix.T @ matrix, torch.eye(30), rtol=0, atol=3e-6)
    with_random_w(model)
    network = model.network_at(model.w)
    assert network.head.weight is network.token_embedding.weight
    torch.testing.assert_close(network(TOKENS), model(TOKENS))
    assert not torch.allclose(model(TOKENS), build("uniform")(TOKENS), atol=0.1)


@pytest.mark.parametrize(
    ("mode", "ratio", "steering_b"),
    [("fixed", 0.2, 4), ("fixed", 0.5, 10), ("fixed", 1.0, 20), ("proportional", None, round(20 * D_B / D))],
)
def test_shares_of_b(mode, ratio, steering_b):
    model = build(mode, ratio=ratio)
    assert model.effective_directions() == {"A": 20 - steering_b, "B": steering_b}
    matrix, of_b = dense_map(model)
    assert not matrix[~of_b][:, :steering_b].any(), "the first coordinates steer B alone"
    assert not matrix[of_b][:, steering_b:].any(), "the last coordinates steer A alone"


def test_lora_only_is_theta_minus_theta0():
    model = with_random_w(build("lora_only"))
    network = build_gpt2(MODEL, VOCABULARY, 0)
    add_lora(network, MODEL.lora, 0)
    theta0 = torch.cat([p.detach().flatten() for p in network.parameters() if p.requires_grad])
    assert torch.equal(flat(model.parameters_at(model.w)), theta0 + model.w)


def maps_of_the_first_two_layers():
    """The columns of P for the query's B, of each layer's own directions."""
    model = hardened("learned", 22)
    first, second = model.budgets[:2]
    assert (first.directions, first.b_weights) == (second.directions, second.b_weights)
    matrix, _ = dense_map(model)
    parameters = model.parameters_at(model.w)
    rows = dict(zip(parameters, matrix.split([value.numel() for value in parameters.values()]), strict=True))
    starts = (0, first.directions)
    return [
        rows[f"blocks.{layer}.attention.query.b_Or"][:, start : start + first.directions]
        for layer, start in enumerate(starts)
    ]


def test_two_layers_do_not_receive_the_same_map(monkeypatch):
    """In the original all projectors share one seed and one size, so its layers are moved alike."""
    first, second = maps_of_the_first_two_layers()
    assert min(first.abs().max(), second.abs().max()) > 0.1
    assert not torch.allclose(first, second, atol=0.05)
    monkeypatch.setattr(modes, "derive_seed", lambda seed, *purpose: seed)
    first, second = maps_of_the_first_two_layers()
    assert torch.equal(first, second), "with one seed for all, the maps would be equal"


# ---- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_gradients_are_those_of_the_dense_map(mode, block_kind):
    model = with_random_w(hardened(mode), 0.3)
    matrix, _ = dense_map(model)
    loss_of(model(TOKENS)).backward()
    plain = model.network_at(model.w)
    moved = [plain.get_parameter(name).requires_grad_() for name in model.parameters_at(model.w)]
    gradients = torch.autograd.grad(loss_of(plain(TOKENS)), moved)
    dense = matrix.T @ torch.cat([gradient.flatten() for gradient in gradients])
    assert dense.abs().max() > 1e-3
    torch.testing.assert_close(model.w.grad, dense, rtol=1e-3, atol=1e-5)
    assert {name for name, p in model.named_parameters() if p.requires_grad} <= {"w", "gating.g_G"}


def test_gradients_of_soft_gates_by_definition():
    """theta = theta0 + P_B (m w) + P_A ((1 - m) w), with dense P and m by its formula, one group after the other."""
    model = with_random_w(build("learned", tau_start=2.0), 0.3)
    g = torch.tensor([0.7, -0.4, 0.1])
    with torch.no_grad():
        model.gating.g_G.copy_(g)
    all_to_b, all_to_a = build("learned"), build("learned")
    all_to_b.fix_splits(tuple(budget.directions for budget in model.budgets))
    all_to_a.fix_splits((0, 0, 0))
    to_b, to_a = dense_map(all_to_b)[0], dense_map(all_to_a)[0]

    w, g = model.w.detach().clone().requires_grad_(), g.requires_grad_()
    masks = []
    for budget, logit in zip(model.budgets, g, strict=True):
        for i in range(budget.directions):
            exponent = (budget.directions / (1 + torch.exp(-logit)) - i - 0.5) / 2.0
            masks.append(1 / (1 + torch.exp(-exponent)))
    m = torch.stack(masks)
    theta0 = flat(model.parameters_at(torch.zeros(20))).detach()
    theta = theta0 + to_b @ (m * w) + to_a @ ((1 - m) * w)
    torch.testing.assert_close(flat(model.parameters_at(model.w)), theta, rtol=0, atol=2e-6)
    direction = torch.linspace(-1, 1, D)
    expected = torch.autograd.grad((theta * direction).sum(), [w, g])
    found = torch.autograd.grad((flat(model.parameters_at(model.w)) * direction).sum(), [model.w, model.gating.g_G])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


# ---- soft and hard -------------------------------------------------------------------------------


def test_a_soft_model_is_never_evaluated():
    model = with_random_w(build("learned"))
    for refused in (lambda: model.vector, lambda: model.structure, lambda: model.network_at(model.w)):
        with pytest.raises(AssertionError, match="soft"):
            refused()
    soft = model(TOKENS)
    model.eval()
    evaluated = model(TOKENS)
    assert not torch.allclose(soft, evaluated, atol=1e-3)
    model.train()
    model.gating.harden()
    assert torch.equal(model(TOKENS), evaluated)
    assert torch.equal(model.network_at(model.vector)(TOKENS), evaluated)


def test_hardening_rounds_and_training_goes_on():
    model = with_random_w(build("learned", 30))
    with torch.no_grad():
        model.gating.g_G.copy_(torch.tensor([2.0, -2.0, 0.3]))
    sizes = [budget.directions for budget in model.budgets]
    positions = [d / (1 + math.exp(-g)) for d, g in zip(sizes, [2.0, -2.0, 0.3], strict=True)]
    assert list(model.gates().values()) == pytest.approx([p / d for p, d in zip(positions, sizes, strict=True)])
    assert list(model.gates()) == ["layer_0", "layer_1", "head"]
    model.anneal(0.49)
    assert not model.gating.is_hard
    model.anneal(0.5)
    splits = tuple(round(position) for position in positions)
    assert model.structure.splits == splits
    assert list(model.gates().values()) == pytest.approx([k / d for k, d in zip(splits, sizes, strict=True)])
    loss_of(model(TOKENS)).backward()
    assert model.w.grad.abs().max() > 0
    assert not model.gating.g_G.grad.any()
    with torch.no_grad():
        model.gating.g_G.fill_(9.0)
    model.anneal(0.8)
    assert model.structure.splits == splits


def test_state_goes_on_after_a_resume():
    model = with_random_w(build("learned"))
    model.anneal(0.2)
    with torch.no_grad():
        model.gating.g_G.copy_(torch.tensor([1.0, -1.0, 0.3]))
    state = {name: tensor.clone() for name, tensor in model.trained_state().items()}
    assert sum(tensor.numel() for tensor in state.values()) == 20 + 3 + 3 + 1, "theta0 and P are not stored"
    resumed = build("learned")
    resumed.restore_trained_state(state)
    assert torch.equal(resumed(TOKENS), model(TOKENS))
    model.anneal(1.0)
    resumed.restore_trained_state(model.trained_state())
    assert resumed.structure == model.structure
    with pytest.raises(ValueError, match="state: expected"):
        resumed.restore_trained_state({"w": model.w})


def test_dropout_at_evaluation_cannot_happen():
    dropping = MODEL.model_copy(update={"lora": LoraSettings(rank=2, alpha=16.0, dropout=0.5)})
    model, without = with_random_w(build("uniform", model=dropping)), with_random_w(build("uniform"))
    assert not torch.equal(model(TOKENS), model(TOKENS))
    alone = model.network_at(model.w)
    assert torch.equal(alone(TOKENS), alone(TOKENS))
    model.eval()
    assert not any(module.training for module in model.modules())
    assert torch.equal(model(TOKENS), model(TOKENS))
    torch.testing.assert_close(model(TOKENS), without(TOKENS))
    torch.testing.assert_close(alone(TOKENS), without(TOKENS))


# ---- coding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_decoded_model_is_the_coded_one(mode):
    coded = hardened(mode)
    if mode == "learned":
        coded.fix_splits((1, 5, 3))
    w = with_random_w(coded).vector
    structure = Structure.from_json(coded.structure.model_dump_json())
    decoded = build(mode)
    decoded.restore(structure, w)
    network = decoded.network_at(decoded.vector)
    assert torch.equal(network(TOKENS), coded.network_at(w)(TOKENS))
    assert not torch.allclose(network(TOKENS), build("uniform")(TOKENS), atol=1e-3)
    other = build(mode, seed=1)
    other.restore(structure, w)
    assert not torch.allclose(network(TOKENS), other.network_at(w)(TOKENS), atol=1e-3)


def test_a_foreign_structure_is_refused():
    model = build("learned")
    for structure, problem in [
        (Structure(mode="uniform"), "expected mode and ratio"),
        (Structure(mode="learned"), "expected mode and ratio"),
        (Structure(mode="learned", splits=(1, 2)), "one per group"),
        (Structure(mode="learned", splits=(1, 2, 6)), "one per group"),
    ]:
        with pytest.raises(UserError, match=problem):
            model.restore(structure, torch.zeros(20))
    with pytest.raises(UserError, match="expected 20 numbers"):
        model.restore(Structure(mode="learned", splits=(1, 2, 3)), torch.zeros(19))


def test_quantisation_aware_forward():
    model, centroids = with_random_w(build("uniform")), torch.tensor([-1.0, 0.0, 1.0])
    model.quantise = lambda w: straight_through(w, centroids)
    rounded = model.w.detach().clamp(-1, 1).round()
    assert torch.equal(model(TOKENS), called_at(model, rounded))
    loss_of(model(TOKENS)).backward()
    rounded.requires_grad_()
    loss_of(called_at(model, rounded)).backward()
    torch.testing.assert_close(model.w.grad, rounded.grad)


def test_base_weights_are_shared_with_the_evaluated_network():
    model = with_random_w(build("uniform"))
    network = model.network_at(model.w)
    for name, parameter in network.named_parameters():
        is_lora = name.endswith(("a_rI", "b_Or"))
        assert (parameter is model.network.get_parameter(name)) != is_lora
    assert torch.equal(network(TOKENS), model(TOKENS))
    before = network(TOKENS)
    with torch.no_grad():
        model.w.zero_()
    assert torch.equal(network(TOKENS), before)


def test_projections_stay_in_single_precision_under_autocast():
    model = with_random_w(hardened("learned"))
    outside = flat(model.parameters_at(model.w))
    with torch.autocast("cpu", torch.bfloat16):
        inside = flat(model.parameters_at(model.w))
        logits = model(TOKENS)
    assert torch.equal(inside, outside)
    assert logits.dtype == torch.bfloat16
    difference = (logits.float() - model(TOKENS)).abs().max() / model(TOKENS).abs().max()
    assert difference < 0.05


# ---- golden trajectory ---------------------------------------------------------------------------

GOLDEN_LOSSES = {
    "uniform": [2.57258, 2.36512, 2.20645, 2.11423, 2.00128],
    "fixed": [2.57258, 2.53135, 2.46346, 2.36862, 2.25725],
    "proportional": [2.57258, 2.4118, 2.27178, 2.19013, 2.15677],
    "learned": [2.57258, 2.52998, 2.55039, 2.49039, 2.45099],
    "lora_only": [2.57258, 2.45818, 2.31084, 2.20507, 2.12947],
    "subspace_only": [2.57258, 2.54648, 2.52603, 2.50474, 2.4806],
}


@pytest.mark.parametrize("mode", MODES)
def test_losses_of_five_steps_never_change(mode):
    """Changes that are not changes of the mathematics leave these as they are (to rounding)."""
    model = build(mode)
    trained, lr = [p for p in model.parameters() if p.requires_grad], 0.02 if mode == "lora_only" else 0.1
    optimiser = torch.optim.AdamW(trained, lr, weight_decay=0.0)
    losses = []
    for step in range(5):
        model.anneal(step / 5)
        optimiser.zero_grad()
        loss = loss_of(model(TOKENS))
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses == pytest.approx(GOLDEN_LOSSES[mode], abs=1e-4)


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "budget", "problem"),
    [
        ("uniform", D + 1, "at most 170 directions for as many weights, found 171"),
        ("fixed", 150, "at most 80 directions for as many weights of A, found 120"),
        ("learned", 2, r"between 3 \(one direction per group\) and 170 \(the number of weights\), found 2"),
    ],
)
def test_budgets_that_do_not_fit(mode, budget, problem):
    with pytest.raises(UserError, match=problem):
        build(mode, budget)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"mode": "fixed"}, "mode fixed needs a ratio: set it for mode fixed, and for no other"),
        ({"mode": "learned", "ratio": 0.5}, "mode learned takes no ratio, found 0.5"),
        ({"mode": "equal"}, "mode: expected one of uniform, fixed, proportional, learned, lora_only, subspace_only"),
        ({"tau_start": 1.0, "tau_end": 2.0}, "config: tau_end: expected at most tau_start = 1, found 2"),
    ],
)
def test_refused_settings(values, problem):
    with pytest.raises(UserError) as error:
        read_settings(AllocationSettings, values, "config")
    assert problem in str(error.value)


def test_a_budget_is_given_unless_all_weights_are_trained():
    for mode, budget in [("uniform", None), ("lora_only", 20)]:
        with pytest.raises(ValueError, match="expected a budget"):
            build_sublora(MODEL, AllocationSettings(mode=mode), vocabulary=VOCABULARY, budget=budget, seed=0)
