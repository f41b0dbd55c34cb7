"""A training that diverges: it stops before the update, keeps what replays the step, and its states survive.

The replay is from the file alone: the batch that it names, at the parameters whose digest it holds, has the same loss.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from certifuse.base.tensors import digest_tensors
from certifuse.data.text.token_batches import IGNORED, window_starts
from certifuse.steps import train_fusion as fusion
from certifuse.steps import train_sublora as sublora
from certifuse.study.cells import SubloraCell
from certifuse.study.steps.language import TrainSublora
from certifuse.training.epoch import epoch_batches
from certifuse.training.loop.finite import NonFiniteLossError
from certifuse.training.loop.loop import train

PLAIN = {"augmentation": {"crop_padding": 0, "flip": False}, "dropout": 0.0, "expert_clip_norm": None}
DIVERGING = {"expert_lr": 1.0, "fusion_lr": 1.0, "fusion_clip_norm": None, "optimizer": "sgd", "epochs": 12}


class Caught:
    """What a recipe handed to the training loop."""

    def __init__(self, monkeypatch, recipe):
        def catching(trainee, settings, store, *others):
            self.trainee, self.store = trainee, store
            return train(trainee, settings, store, *others)

        monkeypatch.setattr(recipe, "train", catching)


def parameters_sha256(network):
    return digest_tensors({name: parameter.detach() for name, parameter in network.named_parameters()})


def stop(work):
    """Let a training stop; what its file says."""
    with pytest.raises(
        NonFiniteLossError, match=r"the \w+( gradient)? is not finite in .*non_finite\.json names"
    ) as caught:
        work()
    path = Path(str(caught.value).rpartition("; ")[2].removesuffix(" names the batch"))
    note = json.loads(path.read_text())
    assert note == caught.value.replay
    return note


@pytest.mark.parametrize("rates", [1.0, 10.0], ids=["loss", "gradient"])
def test_a_training_on_images_is_replayed_from_the_file(tiny, tmp_path, monkeypatch, rates):
    caught = Caught(monkeypatch, fusion)
    changes = PLAIN | DIVERGING | {"expert_lr": rates, "fusion_lr": rates}
    run = tiny.prepare(tmp_path, files={"save_interval_s": 0.0}, **changes)
    note = stop(lambda: fusion.train_fusion(run.step, run.files))
    trainer, network = caught.trainee.trainer, caught.trainee.network
    assert parameters_sha256(network) == note["parameters_sha256"], "the step has updated nothing"

    batches = list(epoch_batches(trainer.indices, trainer.batch_size, note["seed"], note["epoch"] - 1, "cpu", True))
    assert batches[note["step"] - 1].tolist() == note["images"], "seed, epoch and step alone give the batch again"

    images = torch.tensor(note["images"])
    targets = functional.one_hot(trainer.data.labels[images], 4).float()
    network.train()
    loss = trainer.objective(network(trainer.data.batch(images)), targets)["total"]
    torch.autograd.backward(loss)
    found = {"loss": float(loss.detach())} | {
        f"{group.name} gradient": norm_of(group.parameters) for group in trainer.groups if note["scalar"] != "loss"
    }
    assert str(found[note["scalar"]]) == note["value"]
    assert not math.isfinite(found[note["scalar"]])


def norm_of(parameters):
    return float(torch.linalg.vector_norm(torch.cat([parameter.grad.flatten() for parameter in parameters])))


def test_the_state_before_survives_and_leads_to_the_same_step(tiny, tmp_path):
    """A second run takes up the stored state, and stops where the first one did, at the same parameters."""
    changes = PLAIN | DIVERGING
    run = tiny.prepare(tmp_path, files={"save_interval_s": 0.0}, **changes)
    note = stop(lambda: fusion.train_fusion(run.step, run.files))
    assert note["epoch"] > 1, "so that there is a state"
    stored = {path.name: path.read_bytes() for path in run.files.resume_dir.glob("*.safetensors")}
    assert not run.files.manifest.exists()
    assert stop(lambda: fusion.train_fusion(run.step, run.files)) == note
    assert {path.name: path.read_bytes() for path in run.files.resume_dir.glob("*.safetensors")} == stored

    run = tiny.prepare(tmp_path, **PLAIN)  # other rates: another run, that ends and tidies up
    fusion.train_fusion(run.step, run.files)
    assert not run.files.resume_dir.exists()


def test_a_training_of_a_language_model_is_replayed_from_the_file(language, tmp_path, monkeypatch):
    caught = Caught(monkeypatch, sublora)
    cell = SubloraCell(40, "uniform", 7)
    step = language.training_step(cell, lr=1e30, warmup_steps=0, clip_norm=None)
    files = TrainSublora.Files(
        corpus=language.corpus,
        log_file=tmp_path / "full_precision.csv",
        manifest=tmp_path / "cell" / "manifest.json",
        resume_dir=tmp_path / "resume",
        telemetry_dir=tmp_path / "telemetry",
        source="test",
        save_interval_s=0.0,
    )
    note = stop(lambda: sublora.train_sublora(step, files))
    trainee = caught.trainee
    assert parameters_sha256(trainee.network) == note["parameters_sha256"]
    context, count = trainee.network.network.context, trainee.training.batch_size
    again = window_starts(trainee.stream, context, count, note["seed"], note["step"] - 1)
    assert again.tolist() == note["window_starts"]

    tokens, is_start = trainee.stream.windows(np.array(note["window_starts"]), context + 1)
    targets = tokens[:, 1:].masked_fill(is_start[:, 1:], IGNORED)
    trainee.network.eval()  # without dropout, whose draws are those of a whole stretch
    logits = trainee.network(tokens[:, :-1])[..., : trainee.vocabulary.size]
    loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    assert note["scalar"] in ("loss", "subspace gradient")
    torch.autograd.backward(loss)
    assert not math.isfinite(float(loss.detach())) or not math.isfinite(norm_of([trainee.network.w]))
    assert not list(tmp_path.rglob("weights*"))
