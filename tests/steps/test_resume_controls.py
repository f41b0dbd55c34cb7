"""Negative controls of resuming: a stored state that is perturbed in any one of its pieces leads to another end.

For all training programs alike; the tensors of language models are perturbed in `test_train_sublora`. That an
unperturbed state leads to the same end is the control of these controls.
"""

import pytest
from cut_off import cut_off

from certifuse.training.loop.resume import ResumeStore, Snapshot

STAGE_WRITES = dict.fromkeys(("pretraining", "fast pretraining", "fusion", "fast fusion", "finetuning"), 3)
STAGE_WRITES |= {"subspace": 3, "sublora": 2}
"""The log is written after every epoch; at the so many-th time a training is cut off in the middle of its epochs."""


def stored(training, stage):
    """The store of a stage, and what its newest state holds."""
    (newest,) = (path for path in (training.resume / stage).glob("*.safetensors") if "previous" not in path.name)
    store = ResumeStore(newest.parent, newest.name.removesuffix(".safetensors"))
    return store, store.load()


def with_tensor(snapshot, piece, more=0.05):
    """The first tensor of that name a little different, or a step counted too many."""
    numbers = {name: tensor for name, tensor in snapshot.tensors.items() if tensor.is_floating_point()}
    name = next(name for name in sorted(numbers) if piece in name)
    changed = numbers[name] + (1 if piece.endswith("/step") else more)
    return Snapshot(snapshot.tensors | {name: changed}, snapshot.progress)


def with_progress(snapshot, **changes):
    return Snapshot(snapshot.tensors, snapshot.progress | changes)


def an_epoch_behind(snapshot):
    """The number of the next epoch, which all draws are a function of, is that of its rows."""
    rows = snapshot.progress["rows"][:-1]
    return with_progress(snapshot, rows=rows, best_epoch=min(snapshot.progress["best_epoch"], max(len(rows), 1)))


def another_row(snapshot):
    first, *others = snapshot.progress["rows"]
    changed = {key: value + 1 if isinstance(value, float) else value for key, value in first.items()}
    return with_progress(snapshot, rows=[changed, *others])


def best_behind(snapshot):
    """No later epoch is better than the first."""
    rows = [row | {"val_accuracy": 100.0, "val_loss": 0.0} for row in snapshot.progress["rows"]]
    return with_progress(snapshot, rows=rows, best_epoch=1)


PIECES = {
    "pretraining": ["state/network/head.weight", "running_mean", "running_var", "optimiser/"],
    "fast pretraining": [
        *("state/network optimiser/", "network_others optimiser/0/exp_avg", "network_heads optimiser/0/exp_avg"),
        *("state/average/module.trunk.whitening.bias", "state/network/trunk.whitening.filters", "running_var"),
    ],
    "fast fusion": [
        *("experts optimiser/", "experts_others optimiser/", "experts_heads optimiser/", "fusion optimiser/"),
        *("fusion_others optimiser/", "global_head_heads optimiser/", "state/average/module.fusion.mlp.0.weight"),
    ],
    "fusion": ["exp_avg", "exp_avg_sq", "/step", "running_mean", "expert_1/head.weight", "global_head/weight"],
    "finetuning": ["exp_avg", "exp_avg_sq", "/step", "running_mean", "expert_1/head.weight"],
    "subspace": ["state/network/w", "/exp_avg", "/exp_avg_sq", "/step"],
}
STAGES = {"subspace": "full_precision", "sublora": "full_precision"}
CONTROLS = [(kind, piece) for kind, pieces in PIECES.items() for piece in pieces]


@pytest.mark.parametrize("kind", STAGE_WRITES)
def test_an_unperturbed_state_leads_to_the_same_end(begin, uninterrupted, tmp_path, monkeypatch, kind):
    training = begin(kind, tmp_path)
    cut_off(training, monkeypatch, STAGE_WRITES[kind])
    store, snapshot = stored(training, STAGES.get(kind, ""))
    store.save(snapshot)
    assert training.train().ends == uninterrupted(kind).ends
    assert not training.resume.exists()


@pytest.mark.parametrize(("kind", "piece"), CONTROLS)
def test_every_tensor_of_the_state_matters(begin, uninterrupted, tmp_path, monkeypatch, kind, piece):
    training = begin(kind, tmp_path)
    cut_off(training, monkeypatch, STAGE_WRITES[kind])
    store, snapshot = stored(training, STAGES.get(kind, ""))
    store.save(with_tensor(snapshot, piece))
    assert training.train().ends != uninterrupted(kind).ends


@pytest.mark.parametrize("kind", STAGE_WRITES)
@pytest.mark.parametrize("perturb", [an_epoch_behind, another_row])
def test_epoch_and_log_matter(begin, uninterrupted, tmp_path, monkeypatch, kind, perturb):
    training = begin(kind, tmp_path)
    cut_off(training, monkeypatch, STAGE_WRITES[kind])
    store, snapshot = stored(training, STAGES.get(kind, ""))
    store.save(perturb(snapshot))
    assert training.train().ends != uninterrupted(kind).ends


@pytest.mark.parametrize("kind", ["pretraining", "fusion", "finetuning"])
def test_the_best_weights_matter_where_the_best_epoch_is_behind(begin, tmp_path, monkeypatch, kind):
    ends = []
    for name, change in (("as it was", lambda snapshot: snapshot), ("other", lambda each: with_tensor(each, "best/"))):
        training = begin(kind, tmp_path / name)
        cut_off(training, monkeypatch, STAGE_WRITES[kind])
        store, snapshot = stored(training, "")
        store.save(change(best_behind(snapshot)))
        ends.append(training.train().ends)
    assert ends[0] != ends[1]


@pytest.mark.parametrize(
    ("stage", "piece"),
    [("full_precision", "best/w"), ("levels_3", "state/network/w"), ("levels_3", "optimiser/0/exp_avg")],
)
def test_finished_and_quantised_stages_in_a_subspace_matter(begin, uninterrupted, tmp_path, monkeypatch, stage, piece):
    """What was best at full precision is what every quantised training starts from."""
    training = begin("subspace", tmp_path)
    cut_off(training, monkeypatch, 6)
    store, snapshot = stored(training, stage)
    store.save(with_tensor(snapshot, piece, more=1.0))
    assert training.train().ends != uninterrupted("subspace").ends
