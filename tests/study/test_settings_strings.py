"""The settings string of every rule: frozen, canonical, and touched by the keys of that rule alone."""

import json
from typing import Any

import pytest
from pydantic import ValidationError
from study_config import DEFAULT, changed

from certifuse.study.paths import WIDER
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.study.settings.figures import CERTIFICATE_FIGURES, FIGURES
from certifuse.study.settings.fusion import FUSIONS
from certifuse.study.study import Study, read_study


def test_a_study_is_frozen() -> None:
    study = read_study(DEFAULT)
    with pytest.raises(ValidationError, match="frozen"):
        study.name = "other"
    with pytest.raises(ValidationError, match="frozen"):
        study.fusion.epochs = 1


def slices(study: Study) -> dict[str, str]:
    """Every settings string of the workflow, by rule."""
    names = list(ARCHITECTURE_SETTINGS)
    return {
        "images": study.for_images(),
        "splits": study.for_splits(),
        **{f"pretraining {name}": study.for_pretraining(name, "expert_0") for name in names},
        **{f"wider {name}": study.for_pretraining(name, WIDER) for name in names},
        **{f"finetuning {name}": study.for_finetuning(name) for name in names},
        **{f"fusion {name} {rule}": study.for_fusion(name, rule) for name in names for rule in FUSIONS},
        "evaluation": study.for_evaluation(),
        **{f"subspace {rule}": study.for_subspace(rule) for rule in FUSIONS},
        "joint certificate": study.for_joint_certificate(),
        "certificate gathering": study.for_certificate_gathering(),
        **{f"certificate figure {name}": study.for_certificate_figure(name) for name in CERTIFICATE_FIGURES},
        "gathering": study.for_gathering(),
        "comparison": study.for_comparison(),
        **{f"figure {name}": study.for_figure(name) for name in FIGURES},
        "tables": study.for_tables(),
    }


def backwards(value: Any) -> Any:
    """The same configuration with the keys of every mapping in reverse order."""
    if isinstance(value, dict):
        return {key: backwards(inner) for key, inner in reversed(value.items())}
    return [backwards(inner) for inner in value] if isinstance(value, list) else value


def test_the_settings_do_not_depend_on_the_order_of_keys() -> None:
    assert list(backwards(DEFAULT)) != list(DEFAULT)
    assert slices(read_study(backwards(DEFAULT))) == slices(read_study(DEFAULT))


def test_the_settings_are_canonical_json() -> None:
    for text in slices(read_study(DEFAULT)).values():
        assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


JOINT = {f"fusion {name} {rule}" for name in ARCHITECTURE_SETTINGS for rule in FUSIONS}
FINETUNING = {f"finetuning {name}" for name in ARCHITECTURE_SETTINGS}
PRETRAINING = {f"pretraining {name}" for name in ARCHITECTURE_SETTINGS}
WIDENED = {f"wider {name}" for name in ARCHITECTURE_SETTINGS}
TRAINED = PRETRAINING | WIDENED | JOINT | FINETUNING
PICTURES = {f"figure {name}" for name in FIGURES} | {f"certificate figure {name}" for name in CERTIFICATE_FIGURES}
SUBSPACE = {f"subspace {rule}" for rule in FUSIONS}


def of_architecture(name: str) -> set[str]:
    return {f"pretraining {name}", f"finetuning {name}"} | {f"fusion {name} {rule}" for rule in FUSIONS}


def of_rule(rule: str) -> set[str]:
    return {f"fusion {name} {rule}" for name in ARCHITECTURE_SETTINGS}


TOUCHES = [
    ("name", "other", PICTURES | {"tables"}),
    ("results_dir", "elsewhere", set()),
    ("only_finished", True, set()),
    ("data.seed", 5, {"images"}),
    ("splits.seed", 7, {"splits"}),
    ("splits.scheme", "disjoint", {"splits", "certificate gathering"}),
    ("splits.experts", 3, {"splits", "gathering"}),
    ("architectures.densenet.growth", 12, of_architecture("densenet")),
    ("pretraining.epochs", 31, PRETRAINING | WIDENED),
    ("pretraining.augmentation.flip", True, PRETRAINING | WIDENED),
    ("pretraining.per_architecture.resnet.lr", 0.3, {"pretraining resnet", "wider resnet"}),
    ("fusion.epochs", 41, JOINT | FINETUNING),
    ("fusion.expert_lr", 0.003, (JOINT | FINETUNING) - of_rule("TransformerBase")),
    ("fusion.per_fusion.multiplicative.epochs", 3, of_rule("multiplicative")),
    ("fusion.per_fusion.concatenation.epochs", 3, of_rule("concatenation") | FINETUNING),
    # what concerns the fusion module alone does not train the unfused control again
    ("fusion.fusion_lr", 0.003, JOINT - of_rule("TransformerBase")),
    ("fusion.hidden_dim", 16, JOINT | SUBSPACE),
    ("fusion.attention_heads", 2, of_rule("TransformerBase") | {"subspace TransformerBase"}),
    ("fusion.cross_expert_attention", False, of_rule("TransformerBase") | {"subspace TransformerBase"}),
    ("fusion.label_smoothing", 0.2, JOINT | FINETUNING | SUBSPACE),
    ("fusion.fusion_schedule", "constant", JOINT),
    ("fusion.fusion_clip_norm", None, JOINT),
    ("fusion.initial_components", "earlier/{architecture}", JOINT),
    ("grid.0.lambdas.0", "0.2", {"gathering", "comparison", "certificate gathering"}),
    ("grid.0.seeds", [0, 1, 2, 3], {"gathering", "comparison"}),
    ("baselines.finetuned_as", "TransformerBase", FINETUNING),
    ("baselines.finetuned_average", False, {"gathering"}),
    ("baselines.single_model_seeds", [0, 1], {"gathering"}),
    ("baselines.wider_single.resnet.width", 17, {"wider resnet"}),
    ("execution.threads", 2, TRAINED | SUBSPACE | {"evaluation", "joint certificate"}),
    ("evaluation.calibration_bins", 10, {"evaluation"}),
    ("evaluation.superclasses", "cifar100", {"evaluation"}),
    ("statistics.confidence", 0.9, {"comparison", "tables"} | PICTURES),
    ("figures.diversity.baseline_colour", "#000000", {"figure diversity"}),
    ("certificates.delta", 0.01, SUBSPACE | {"joint certificate"}),
    ("certificates.levels", [3], SUBSPACE | {"certificate gathering"}),
    ("certificates.joint_levels", 5, {"joint certificate"}),
    ("certificates.training.lr", 0.1, SUBSPACE),
    ("certificates.training.augmentation", "standard", SUBSPACE),
    ("certificates.blocks.0.dims", [4], {"certificate gathering"}),
    ("certificates.blocks", [], {"certificate gathering"}),
    ("certificate_figures.certified_vs_test.dpi", 100, {"certificate figure certified_vs_test"}),
    # what they touch: tests/study/test_sublora.py
    ("sublora.training.lr", 0.1, set()),
    ("sublora_figures.pareto_frontier.dpi", 100, set()),
    ("jobs_per_gpu", 2, set()),
]


@pytest.mark.parametrize(("path", "value", "touched"), TOUCHES, ids=[case[0] for case in TOUCHES])
def test_a_key_touches_the_settings_of_its_rules_alone(path: str, value: Any, touched: set[str]) -> None:
    config = changed("fusion.per_fusion", {"TransformerBase": {"expert_lr": 5e-4, "fusion_lr": 1e-3}})
    before, after = slices(read_study(config)), slices(read_study(changed(path, value, config)))
    assert {rule for rule, text in before.items() if after[rule] != text} == touched


def test_every_section_is_in_the_table_above() -> None:
    assert {path.split(".")[0] for path, _, _ in TOUCHES} == set(Study.model_fields)
