"""Steps of a language model in training: gradients and losses against plain autograd, gates, codebooks, validation."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from certifuse.data.text.corpus import load_corpus
from certifuse.data.text.corpus_writing import write_corpus
from certifuse.data.text.token_batches import IGNORED, draw_batch, token_stream
from certifuse.data.text.tokenisers import ByteTokeniser
from certifuse.models.compute import runtime as runtimes
from certifuse.models.subspace.quantisation import fit_codebook, quantise
from certifuse.models.subspace.trained_vector import network_at_start
from certifuse.study.cells import SubloraCell
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.language_models import LanguageModelSettings, LoraSettings
from certifuse.study.settings.sublora import GateSettings, SubloraTraining, allocation_of
from certifuse.training.language import LanguageTrainee, full_precision_groups, quantised_groups
from certifuse.training.loop.finite import NonFiniteLossError
from certifuse.training.loop.processes import Processes

MODEL = LanguageModelSettings(layers=2, heads=2, width=16, context=12, lora=LoraSettings(rank=2))
TRAINING = SubloraTraining(
    steps=8,
    batch_size=6,
    lr=0.05,
    warmup_steps=2,
    validate_every=4,
    quantised_steps=8,
    quantised_lr=0.01,
    codebook_every=2,
    gates=GateSettings(lr=0.5, tau_start=3.0),
)
MODES = ("uniform", "fixed_0.5", "proportional", "learned", "lora_only", "subspace_only")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus") / "corpus"
    texts = [("train", f"document {n} says {n * n} and stops; {'ab' * (n % 5)}") for n in range(40)]
    texts += [("validation", f"another one: {n} and {'xyz' * n}.") for n in range(6)]
    write_corpus(texts, ByteTokeniser(), 1, {}, directory)
    return load_corpus(directory)


@pytest.fixture
def make(corpus):
    """`make(mode, levels, **training)`: a trainee that has not begun."""

    def build(mode="uniform", levels=None, d=30, processes=None, **changes):
        training = TRAINING.model_copy(update=changes)
        runtime = runtimes.start(ExecutionSettings(threads=1, device="cpu", precision="fp32", compile="off"))
        allocation = allocation_of(mode, training)
        d = 802 if mode == "lora_only" else d
        network = network_at_start(MODEL, allocation, SubloraCell(d, mode, 5), corpus.vocabulary.inputs)
        if levels is not None:
            network.anneal(1.0)
        groups = full_precision_groups(network, training) if levels is None else quantised_groups(network, training)
        return LanguageTrainee(
            network=network,
            groups=groups,
            stream=token_stream(corpus.train, corpus.vocabulary, runtime.device),
            validation=[corpus.validation.document(index) for index in range(6)],
            vocabulary=corpus.vocabulary,
            training=training,
            levels=levels,
            runtime=runtime,
            seed=3,
            processes=processes or Processes(),
        )

    return build


def with_w(trainee, scale=0.5):
    with torch.no_grad():
        trainee.network.w.normal_(0, scale, generator=torch.Generator().manual_seed(0))
    return trainee


def expected_gradient(trainee, step):
    """Mean cross-entropy over the targets of the whole batch, by plain autograd over the 256 bytes."""
    batch = draw_batch(trainee.stream, MODEL.context, 6, trainee.seed, step, torch.device("cpu"))
    logits = trainee.network(batch.inputs_BC)[..., :256].flatten(0, 1)
    targets = batch.targets_BC.flatten()
    kept = targets != IGNORED
    assert int(kept.sum()) == batch.predictions < targets.numel()
    loss = functional.cross_entropy(logits[kept], targets[kept])
    return loss.detach(), torch.autograd.grad(loss, trainee.network.w)[0]


@pytest.mark.parametrize("passes", [None, 1, 4])
@pytest.mark.parametrize("mode", ["uniform", "learned"])
def test_the_gradient_is_that_of_the_mean_over_the_batch(make, mode, passes):
    """However many windows are in memory at once; 4 leaves a smaller rest."""
    trainee = with_w(make(mode, windows_per_pass=passes))
    loss, gradient = expected_gradient(trainee, 7)
    torch.testing.assert_close(trainee._backward(7), loss)
    torch.testing.assert_close(trainee.network.w.grad, gradient, rtol=1e-4, atol=1e-7)


def test_the_shares_of_the_processes_add_up_to_the_batch(make):
    alone = with_w(make())
    loss = alone._backward(7)
    shares = [with_w(make(processes=Processes(rank, 3))) for rank in range(3)]
    for share in shares:
        object.__setattr__(share.processes, "add_up", lambda tensors: None)
    torch.testing.assert_close(sum(share._backward(7) for share in shares), loss)
    torch.testing.assert_close(sum(share.network.w.grad for share in shares), alone.network.w.grad)


def test_every_mode_starts_with_the_same_loss(make):
    """`subspace_only` has no LoRA weights, whose B is zero at the start: the same function too."""
    losses = [float(make(mode)._backward(0)) for mode in MODES]
    assert losses == [losses[0]] * len(MODES)
    assert losses[0] == pytest.approx(math.log(256), rel=0.01)


@pytest.mark.parametrize("mode", MODES)
def test_training_lowers_the_loss(make, mode):
    trainee = make(mode, steps=40, validate_every=20, lr=0.005 if mode == "lora_only" else 0.05)
    at_start = trainee.validate()["validation_bpd"]
    rows = [trainee.train(stretch) | trainee.validate() for stretch in range(2)]
    assert [row["step"] for row in rows] == [20, 40]
    assert rows[1]["train_loss_bpd"] < rows[0]["train_loss_bpd"] < at_start
    assert rows[1]["validation_bpd"] < at_start - 0.02


# ---- gates -----------------------------------------------------------------------------------------


def test_gates_narrow_and_harden_at_their_time(make):
    trainee = make("learned", validate_every=1)
    seen = [trainee.train(step) for step in range(8)]
    ratio = 0.1 / 3.0
    assert [row["tau"] for row in seen] == pytest.approx([3.0 * ratio ** min(1.0, s / 8 / 0.5) for s in range(8)])
    assert trainee.network.gating.is_hard
    gamma = [row["gamma_head"] for row in seen]
    assert len(set(gamma[:5])) > 1
    assert len(set(gamma[4:])) == 1
    assert gamma[-1] == trainee.network.structure.splits[-1] / trainee.network.budgets[-1].directions


def test_gates_do_not_decay(make):
    trainee = make("learned", weight_decay=0.5, lr=1e-9)
    assert [group.optimiser.defaults["weight_decay"] for group in trainee.groups] == [0.5, 0.0]


def test_given_splits_are_not_trained(make):
    trainee = make("learned_random")
    trainee.network.fix_splits((3, 2, 7))
    assert [group.name for group in full_precision_groups(trainee.network, TRAINING)] == ["subspace"]
    trainee.groups = full_precision_groups(trainee.network, TRAINING)
    trainee.train(0)
    assert trainee.network.structure.splits == (3, 2, 7)


def test_a_soft_model_is_judged_hard_and_stays_soft(make):
    trainee = with_w(make("learned"))
    trainee.network.anneal(0.1)
    before = {name: tensor.clone() for name, tensor in trainee.weights().items()}
    judged = trainee.judged()
    assert not trainee.network.gating.is_hard
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainee.weights().items())
    trainee.network.eval()
    tokens = torch.arange(12)[None]
    torch.testing.assert_close(judged(tokens), trainee.network(tokens))
    trainee.network.train()
    assert not torch.allclose(judged(tokens), trainee.network(tokens), atol=1e-4)


# ---- quantised -------------------------------------------------------------------------------------


def test_validation_is_of_the_quantised_model(make, corpus):
    """Bits per byte of every document, one by one; then their mean: each document weighs the same."""
    trainee = with_w(make(levels=3))
    found = trainee.validate()["validation_bpd"]
    numbers = trainee.network.w.detach().numpy()
    trainee.network.w.data.copy_(torch.from_numpy(quantise(numbers, fit_codebook(numbers, 3, TRAINING.codebook))))
    trainee.network.quantise = None
    network = trainee.network.network_at(trainee.network.w)
    bits = []
    for tokens in trainee.validation:
        inputs = np.concatenate([[256], tokens[:-1].astype(np.int64)])
        loss = [
            float(functional.cross_entropy(network(torch.from_numpy(window)[None])[0, :, :256], target.long()))
            * len(window)
            for window, target in zip(
                np.split(inputs, range(12, len(inputs), 12)), torch.from_numpy(tokens.copy()).split(12), strict=True
            )
        ]
        bits.append(sum(loss) / len(tokens) / math.log(2))
    assert found == pytest.approx(np.mean(bits), rel=1e-5)


def test_the_codebook_is_fitted_at_its_steps_and_for_validation(make, monkeypatch):
    from certifuse.training import language

    trainee, seen = with_w(make(levels=3, quantised_steps=7, validate_every=5)), []
    fit = language.quantise_network

    def spy(network, levels, kind):
        seen.append((levels, kind))
        return fit(network, levels, kind)

    monkeypatch.setattr(language, "quantise_network", spy)
    counts = []
    for stretch in range(2):
        trainee.train(stretch)
        counts.append(len(seen))
    trainee.validate()
    counts.append(len(seen))
    assert counts == [3, 5, 6]  # steps 0, 2, 4; steps 5 (a new stretch) and 6; the validation
    assert set(seen) == {(3, TRAINING.codebook)}


# ---- state, failures -------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "levels"), [("uniform", None), ("learned", None), ("learned", 3)])
def test_a_restored_trainee_goes_on_to_the_bit(make, mode, levels):
    whole, second = make(mode, levels), make(mode, levels)
    for trainee in (whole, second):
        with_w(trainee, 0.1)
    whole.train(0)
    second.restore({name: tensor.clone() for name, tensor in whole.state().items()})
    for trainee in (whole, second):
        trainee.train(1)
    assert all(torch.equal(tensor, second.state()[name]) for name, tensor in whole.state().items())


def test_a_loss_that_is_not_finite_names_the_step(make):
    trainee = make()
    trainee.network.w.data.fill_(math.nan)
    with pytest.raises(NonFiniteLossError, match=r"the loss is not finite in step 5 \(seed 3\): lower"):
        trainee.train(1)


def test_a_process_without_validation_documents_adds_nothing(make):
    trainee = replace(make(processes=Processes(1, 2)), validation=make().validation[:1])
    object.__setattr__(trainee.processes, "add_up", lambda tensors: None)
    assert trainee.validate() == {"validation_bpd": 0.0}
