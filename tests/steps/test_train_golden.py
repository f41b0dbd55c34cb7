"""Per-epoch losses of a tiny study on the digits, against the values that are stored in `tests/golden`.

A change that is meant to leave the numbers alone must pass this. One that is meant to change them says so by

    CERTIFUSE_WRITE_GOLDEN=1 python -m pytest tests/steps/test_train_golden.py

which writes the file again; the difference is then part of the commit. fp32, one thread; the tolerance is for other
processors, whose sums are in another order. It fits short trainings alone, such as these: sooner or later rounding
puts an activation on the other side of zero, and from there on it is amplified without limit.
"""

import json
import os
from pathlib import Path

import pytest

from certifuse.base.rows import read_rows
from certifuse.steps.prepare_images import prepare_images
from certifuse.steps.pretrain_expert import pretrain_expert
from certifuse.steps.split_images import split_images
from certifuse.steps.train_fusion import train_fusion
from certifuse.study.cells import Member
from certifuse.study.settings.data import SplitSettings
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.study.steps.data import PrepareImages, SplitImages
from certifuse.study.steps.training import PretrainExpert

GOLDEN = Path(__file__).parents[1] / "golden" / "digits.json"
RELATIVE = 1e-5
AUGMENTATION = {"crop_padding": 1, "flip": False, "mixup_alpha": 0.2, "cutmix_alpha": 1.0, "erasing_probability": 0.25}
LOSSES = ("train_loss", "val_loss", "loss_global", "loss_individual", "loss_distillation")


@pytest.fixture(scope="module")
def study(tiny, tmp_path_factory):
    """The digits, and `expert(member, lr)` and `fused(fusion)` that train on them and give their losses per epoch."""
    root = tmp_path_factory.mktemp("golden")
    images, splits = root / "images.safetensors", root / "splits.safetensors"
    prepare_images(PrepareImages(data={"source": "digits"}), PrepareImages.Files(output=images, source="test"))
    split = SplitSettings(
        experts=2, shared_fraction=0.03, unique_fraction=0.03, fusion_fraction=0.1, validation_fraction=0.5
    )
    split_files = SplitImages.Files(images=images, output=splits, summary=root / "splits.json", source="test")
    split_images(SplitImages(splits=split), split_files)
    step = tiny.fusion_step()
    data = {"images": images, "splits": splits}

    def component(member):
        return root / f"{member}_best.safetensors"

    def expert(member, lr=0.1):
        training = ExpertTraining(epochs=3, batch_size=16, lr=lr, warmup_epochs=0.5, augmentation=AUGMENTATION)
        cell = Member("resnet", 0, member)
        own = PretrainExpert(cell=cell, architecture=step.architecture, training=training, execution=step.execution)
        files = tiny.pretraining_files(root / f"{member}_{lr}", output=component(member), **data)
        pretrain_expert(own, files)
        return columns(files.log_file)

    def fused(fusion):
        files = tiny.files(root / fusion, experts=(component("expert_0"), component("expert_1")), **data)
        train_fusion(tiny.fusion_step(fusion, lam="0.5", batch_size=16, augmentation=AUGMENTATION), files)
        return columns(files.log_file)

    return expert, fused


@pytest.fixture(scope="module")
def losses(study):
    """Losses of two experts and of two fusion trainings, by run and column, one value per epoch."""
    expert, fused = study
    experts = {member: expert(member) for member in ("expert_0", "expert_1")}
    return experts | {fusion: fused(fusion) for fusion in ("concatenation", "TransformerBase")}


def columns(log):
    rows = read_rows(log)
    return {name: [float(row[name]) for row in rows] for name in LOSSES if name in rows[0]}


def test_losses_are_those_that_are_stored(losses):
    if os.environ.get("CERTIFUSE_WRITE_GOLDEN") == "1":
        GOLDEN.write_text(json.dumps(losses, indent=2, sort_keys=True) + "\n")
    stored = json.loads(GOLDEN.read_text())
    assert losses.keys() == stored.keys()
    for run, of_run in stored.items():
        assert losses[run].keys() == of_run.keys()
        for name, expected in of_run.items():
            assert losses[run][name] == pytest.approx(expected, rel=RELATIVE), f"{run} {name}"


def test_the_tolerance_tells_a_change_from_noise(losses, study):
    """Negative control: a learning rate that is one part in a hundred higher does not pass."""
    expert, _ = study
    changed = expert("expert_0", lr=0.101)
    assert changed["train_loss"] != pytest.approx(losses["expert_0"]["train_loss"], rel=RELATIVE)
