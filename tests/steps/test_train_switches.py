"""Every key of the training settings acts: changing it changes exactly what it should.

Each case trains twice, with the key at two values, and compares what came of it:

- `epochs`: how many rows the log has;
- `trajectory`: the rows that both logs have (losses, rates, accuracies, gradient norms);
- `shapes`: the tensors of the components;
- `kept`: which epochs were stored as components.
"""

import json

import pytest

from certifuse.base.rows import read_rows
from certifuse.models.components.assembly import find_components
from certifuse.models.components.files import load_component
from certifuse.steps.pretrain_expert import pretrain_expert
from certifuse.study.cells import Member
from certifuse.study.settings.fusion import FUSIONS, FusionSettings, FusionTraining
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.study.settings.recipe import MuonSettings
from certifuse.study.steps.training import PretrainExpert

TRAINING = {
    "fusion": "TransformerBase",
    "epochs": 4,
    "dropout": 0.1,
    "expert_accumulation_steps": 2,
    "distillation_weight": 0.1,
    "weight_decay": 1e-2,
}
"""What the cases share. The attention rule has every part that a key belongs to."""

ERRATIC = {"epochs": 8, "expert_lr": 0.3, "fusion_lr": 0.3}
"""Rates at which the validation accuracy goes up and down, so that patience runs out."""

MUON = {"optimizer": "muon"}
RECIPE_CASES = {
    "muon": (MUON, {"steps": 1}, {"trajectory"}),
    "image_sizes": ({}, [[0.5, 6]], {"trajectory"}),
    "batch_norm_momentum": ({}, 0.5, {"trajectory"}),
    "train_norm_scales": ({}, False, {"trajectory"}),
    "weight_average_decay": ({}, 0.5, {"trajectory"}),
}
FUSION_CASES = {
    "input_dim": ({}, 6, {"shapes", "trajectory"}),
    "hidden_dim": ({}, 5, {"shapes", "trajectory"}),
    "dropout": ({}, 0.5, {"trajectory"}),
    "attention_heads": ({}, 2, {"trajectory"}),
    "cross_expert_attention": ({}, False, {"trajectory"}),
    "epochs": ({"expert_schedule": "constant", "fusion_schedule": "constant"}, 3, {"epochs"}),
    "batch_size": ({}, 24, {"trajectory"}),
    "expert_lr": ({}, 2e-2, {"trajectory"}),
    "fusion_lr": ({}, 2e-2, {"trajectory"}),
    "dimension_adaptive_lr": ({}, False, {"trajectory"}),
    "optimizer": ({}, "sgd", {"trajectory"}),
    "weight_decay": ({}, 0.0, {"trajectory"}),
    "expert_schedule": ({}, "constant", {"trajectory"}),
    "fusion_schedule": ({}, "constant", {"trajectory"}),
    "min_lr_fraction": ({}, 0.5, {"trajectory"}),
    "expert_accumulation_steps": ({}, 1, {"trajectory"}),
    "expert_clip_norm": ({}, 1e-3, {"trajectory"}),
    "fusion_clip_norm": ({}, 1e-3, {"trajectory"}),
    "distillation_weight": ({}, 0.0, {"trajectory"}),
    "distillation_temperature": ({}, 4.0, {"trajectory"}),
    "label_smoothing": ({}, 0.0, {"trajectory"}),
    "augmentation": (
        {},
        {"crop_padding": 0, "flip": False, "mixup_alpha": 1.0, "mix_probability": 1.0},
        {"trajectory"},
    ),
    "early_stopping_patience": (ERRATIC, 1, {"epochs"}),
    "save_every": ({}, 2, {"kept"}),
    "initial_components": ({}, "{earlier}", {"trajectory"}),
    **RECIPE_CASES,
}
"""Key: what else is set on both sides, the changed value, and exactly what must differ."""

EXPERT_CASES = {
    "epochs": ({"lr": 1e-9}, 3, {"epochs"}),
    "batch_size": ({}, 24, {"trajectory"}),
    "lr": ({}, 0.1, {"trajectory"}),
    "warmup_epochs": ({}, 2.0, {"trajectory"}),
    "momentum": ({}, 0.0, {"trajectory"}),
    "weight_decay": ({}, 0.1, {"trajectory"}),
    "label_smoothing": ({}, 0.3, {"trajectory"}),
    "augmentation": ({}, {"crop_padding": 0, "flip": False}, {"trajectory"}),
    "clip_norm": ({}, 1e-3, {"trajectory"}),
    "early_stopping_patience": ({"lr": 1e-9}, 1, {"epochs"}),
    "optimizer": ({}, "muon", {"trajectory"}),
    "schedule": ({}, "triangular", {"trajectory"}),
    **RECIPE_CASES,
}
MUON_CASES = {
    "momentum": 0.5,
    "steps": 1,
    "normalise_filters": True,
    "others": "adamw",
    "norm_lr_factor": 0.5,
    "head_lr_factor": 0.5,
}


def test_no_key_is_left_out():
    assert set(FUSION_CASES) == set(FusionTraining.model_fields)
    assert set(EXPERT_CASES) == set(ExpertTraining.model_fields)
    assert set(MUON_CASES) == set(MuonSettings.model_fields)


def differences(first, second):
    """The aspects in which two runs differ, each of them (rows, shapes, stored epochs)."""
    (rows, shapes, kept), (other_rows, other_shapes, other_kept) = first, second
    common = min(len(rows), len(other_rows))
    found = {
        "epochs": len(rows) != len(other_rows),
        "trajectory": rows[:common] != other_rows[:common],
        "shapes": shapes != other_shapes,
        "kept": kept != other_kept,
    }
    return {name for name, differs in found.items() if differs}


@pytest.fixture(scope="module")
def fused(tiny, tmp_path_factory):
    """`fused(**changes)`: a run of `TRAINING` with these changes; each is run once."""
    done = {}

    def run(**changes):
        key = repr(sorted(changes.items()))
        if key not in done:
            done[key] = tiny.train(tmp_path_factory.mktemp("run"), **TRAINING | changes)
        return done[key]

    return run


def outcome(run):
    """Rows, tensors of the best components with their shapes, and the stored epochs of a run."""
    found = find_components(run.directory)
    paths = (*found.experts, found.fusion, found.global_head)
    shapes = {
        (path.name, name): tensor.shape for path in paths for name, tensor in load_component(path).tensors.items()
    }
    return run.rows, shapes, sorted(path.name for path in run.directory.glob("epochs/*"))


@pytest.mark.parametrize("key", FUSION_CASES)
def test_each_key_of_fusion_training_acts(fused, key):
    common, value, expected = FUSION_CASES[key]
    base = fused(**common)
    if value == "{earlier}":
        value = str(base.directory)
    assert differences(outcome(base), outcome(fused(**common, **{key: value}))) == expected


def test_the_same_settings_twice_differ_in_nothing(fused, tiny, tmp_path):
    """Negative control: what the cases see is not noise."""
    first, again = fused(), tiny.train(tmp_path, **TRAINING)
    assert again.rows == first.rows
    assert again.components == first.components


def expert_run(tiny, where, **changes):
    training = {"epochs": 4, "batch_size": 16, "lr": 0.05, "augmentation": {"crop_padding": 1, "flip": False}}
    step = PretrainExpert(
        cell=Member("resnet", 0, "expert_0"),
        architecture={"name": "resnet", "width": 4, "blocks": [1, 1]},
        training=ExpertTraining.from_json(json.dumps(training | changes)),
        execution=tiny.fusion_step().execution,
    )
    files = tiny.pretraining_files(where)
    pretrain_expert(step, files)
    measured = ("seconds", "images_per_second")
    rows = [{k: v for k, v in row.items() if k not in measured} for row in read_rows(files.log_file)]
    return rows, None, None


@pytest.mark.parametrize("key", EXPERT_CASES)
def test_each_key_of_expert_training_acts(tiny, tmp_path, key):
    common, value, expected = EXPERT_CASES[key]
    first = expert_run(tiny, tmp_path / "first", **common)
    changed = expert_run(tiny, tmp_path / "changed", **common | {key: value})
    found = differences(first, changed)
    if key == "epochs":  # the cosine is stretched over them, so the rate differs too
        for row in (*first[0], *changed[0]):
            row.pop("lr")
        found = differences(first, changed) - {"trajectory"}
    assert found == expected


@pytest.mark.parametrize("key", MUON_CASES)
def test_each_key_of_muon_acts(tiny, tmp_path, key):
    first = expert_run(tiny, tmp_path / "first", **MUON)
    changed = expert_run(tiny, tmp_path / "changed", **MUON, muon={key: MUON_CASES[key]})
    assert differences(first, changed) == {"trajectory"}


@pytest.mark.parametrize("flip", [True, "alternating"])
def test_each_kind_of_flip_acts(tiny, tmp_path, flip):
    first = expert_run(tiny, tmp_path / "first")
    changed = expert_run(tiny, tmp_path / "changed", augmentation={"crop_padding": 1, "flip": flip})
    assert differences(first, changed) == {"trajectory"}


def test_each_rule_has_rates_epochs_and_augmentation_of_its_own():
    """The guides' values per fusion rule, of those that are left at null."""
    chosen = {fusion: FusionSettings().resolved(fusion) for fusion in FUSIONS}
    rates = {fusion: (training.expert_lr, training.fusion_lr) for fusion, training in chosen.items()}
    assert rates["multiplicative"] == (1e-4, 5e-4)
    assert rates["multiplicativeAddition"] == rates["concatenation"] == rates["simpleAddition"] == (1e-4, 1e-3)
    assert rates["TransformerBase"] == (5e-5, 2e-4)
    assert {fusion: training.epochs for fusion, training in chosen.items()} == {
        "multiplicative": 80,
        "multiplicativeAddition": 100,
        "TransformerBase": 120,
        "concatenation": 100,
        "simpleAddition": 100,
        "multiplicativeShifted": 80,
        "averagePlusConcatenation": 100,
        "averagePlusTransformerBase": 120,
    }
    assert (
        chosen["multiplicative"].augmentation.erasing_probability
        < chosen["concatenation"].augmentation.erasing_probability
    )
