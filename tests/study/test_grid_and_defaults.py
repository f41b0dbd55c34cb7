"""The cells of a study, and the defaults: those of the guides."""

import pytest
import yaml
from study_config import CONFIG, DEFAULT, REMOVED, changed

from certifuse.study.cells import SINGLE, WIDER
from certifuse.study.settings.augmentation import AUGMENTATIONS
from certifuse.study.settings.fusion import FUSIONS, FusionSettings
from certifuse.study.study import read_study

# Rates: the table "Fusion-Specific Optimization" of the framework readme. Epochs: the models table of the Slurm guide.
GUIDES = {
    "multiplicative": (80, 1e-4, 5e-4),
    "multiplicativeAddition": (100, 1e-4, 1e-3),
    "TransformerBase": (120, 5e-5, 2e-4),
    "concatenation": (100, 1e-4, 1e-3),
}
LIKE = {
    "simpleAddition": "concatenation",
    "multiplicativeShifted": "multiplicative",
    "averagePlusConcatenation": "concatenation",
    "averagePlusTransformerBase": "TransformerBase",
}


@pytest.mark.parametrize("rule", FUSIONS)
def test_a_null_takes_the_guides_value(rule: str) -> None:
    """The rules that the guides leave open take the numbers of the rule they resemble or consist of."""
    like = LIKE.get(rule, rule)
    resolved = FusionSettings().resolved(rule)
    assert (resolved.epochs, resolved.expert_lr, resolved.fusion_lr) == GUIDES[like]
    recipe = "balanced" if like == "multiplicative" else "strong"
    assert resolved.augmentation == AUGMENTATIONS[recipe]


def test_the_other_defaults_are_the_guides() -> None:
    default = FusionSettings()
    assert (default.expert_accumulation_steps, default.fusion_clip_norm, default.expert_clip_norm) == (2, 1.0, 5.0)
    assert (default.distillation_weight, default.batch_size, default.save_every) == (0.1, 128, 10)
    assert (default.expert_schedule, default.fusion_schedule) == ("cosine_warm_restarts", "cosine")
    assert (default.min_lr_fraction, default.cross_expert_attention) == (0.1, True)


def test_per_fusion_wins_over_the_section_and_the_section_over_the_guides() -> None:
    study = read_study(
        changed("fusion", {"epochs": 7, "per_fusion": {"TransformerBase": {"epochs": 9, "expert_lr": None}}})
    )
    assert study.fusion.resolved("concatenation").epochs == 7
    assert study.fusion.resolved("TransformerBase").epochs == 9
    assert study.fusion.resolved("TransformerBase").expert_lr == 5e-5


# ---- the grid --------------------------------------------------------------------------------------


def test_certificates_are_a_product_and_cells_outside_the_grid_have_no_joint_line() -> None:
    common = {"architectures": ["resnet"], "fusions": ["concatenation"], "seeds": [0, 1]}
    blocks = [common | {"lambdas": ["1.0", "7.0"], "dims": [4, 16]}, common | {"lambdas": ["1.0"], "dims": [16, 64]}]
    study = read_study(changed("certificates.blocks", blocks))
    found = [(cell.lam, cell.seed, cell.d) for cell in study.subspace_cells]
    product = [(lam, seed, dim) for lam in ("1.0", "7.0") for seed in (0, 1) for dim in (4, 16)]
    assert found == [*product, ("1.0", 0, 64), ("1.0", 1, 64)]
    assert [(cell.lam, cell.seed) for cell in study.certified_cells] == [("1.0", 0), ("1.0", 1)], "7.0 is in no grid"
    assert read_study(changed("certificates", REMOVED)).subspace_cells == ()


def test_overlapping_blocks_give_each_cell_once() -> None:
    block = {"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["0.5", "1.0"], "seeds": [0, 1]}
    wider = block | {"architectures": ["densenet", "resnet"], "lambdas": ["1.0"]}
    study = read_study(changed("grid", [block, wider, block]))
    assert [(cell.architecture, cell.lam, cell.seed) for cell in study.cells] == [
        ("resnet", "0.5", 0),
        ("resnet", "0.5", 1),
        ("resnet", "1.0", 0),
        ("resnet", "1.0", 1),
        ("densenet", "1.0", 0),
        ("densenet", "1.0", 1),
    ]
    assert tuple(map(tuple, study.families)) == (("resnet", 0), ("resnet", 1), ("densenet", 0), ("densenet", 1))
    assert [study.single_models("resnet", seed) for seed in (0, 1)] == [(SINGLE, WIDER), ()]
    none_wider = read_study(changed("baselines.wider_single", {"densenet": {"growth": 16}}))
    assert none_wider.single_models("resnet", 0) == (SINGLE,)
    assert none_wider.single_models("densenet", 0) == (SINGLE, WIDER)


@pytest.mark.parametrize(
    ("name", "cells", "families"), [("config", 30, 6), ("cifar100_small", 34, 6), ("cifar100", 720, 12)]
)
def test_the_shipped_studies(name: str, cells: int, families: int) -> None:
    study = read_study(yaml.safe_load((CONFIG / f"{name}.yaml").read_text(encoding="utf-8")))
    assert (len(study.cells), len(study.families)) == (cells, families)


def test_the_training_of_a_rule_is_put_together_once() -> None:
    """A study of thousands of cells asks for it thousands of times."""
    study = read_study(DEFAULT)
    assert study.fusion.resolved("concatenation") is study.fusion.resolved("concatenation")
    assert study.pretraining.resolved("resnet") is study.pretraining.resolved("resnet")
