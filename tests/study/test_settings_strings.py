"""The settings of every step: frozen, canonical, and touched by the keys that the step uses alone."""

import json
from typing import Any

import pytest
from pydantic import ValidationError
from study_config import DEFAULT, changed

from certifuse.study.cells import WIDER, Cell
from certifuse.study.figures import figures_of
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.study.settings.fusion import ATTENTION_RULES, FUSIONS
from certifuse.study.settings.recipe import Recipe
from certifuse.study.steps.certificates import CertifyJoint, CertifySubspace
from certifuse.study.steps.data import PrepareImages, SplitImages
from certifuse.study.steps.gathering import CompareCells, Gather, GatherCertificates
from certifuse.study.steps.registry import STEPS
from certifuse.study.steps.reporting import DrawFigure, WriteCertificateTables, WriteTables
from certifuse.study.steps.training import (
    EvaluateBaselines,
    EvaluateFusion,
    FinetuneExperts,
    PretrainExpert,
    TrainFusion,
)
from certifuse.study.study import Study, read_study

FIGURES, CERTIFICATE_FIGURES = figures_of("fusion"), figures_of("certificates")


WIDENABLE = tuple(DEFAULT["baselines"]["wider_single"])
"""The architectures of which the default study has a wider model too."""


def test_a_study_is_frozen() -> None:
    study = read_study(DEFAULT)
    with pytest.raises(ValidationError, match="frozen"):
        study.name = "other"
    with pytest.raises(ValidationError, match="frozen"):
        study.fusion.epochs = 1


def of_cell(architecture: str, fusion: str) -> dict[str, Any]:
    return Cell(architecture, fusion, "1.0", 0).names()


def slices(study: Study) -> dict[str, str]:
    """The settings of the steps on images, by step and what tells their jobs apart."""
    family = {name: {"architecture": name, "seed": 0} for name in ARCHITECTURE_SETTINGS}
    steps = {
        "images": PrepareImages.of(study, {}),
        "splits": SplitImages.of(study, {}),
        "gathering": Gather.of(study, {}),
        "comparison": CompareCells.of(study, {}),
        "certificate gathering": GatherCertificates.of(study, {}),
        "tables": WriteTables.of(study, {}),
        "certificate tables": WriteCertificateTables.of(study, {}),
        "scores": EvaluateFusion.of(study, of_cell("resnet", "concatenation")),
        "baselines": EvaluateBaselines.of(study, family["resnet"]),
        "joint certificate": CertifyJoint.of(study, of_cell("resnet", "concatenation")),
        **{f"subspace {rule}": CertifySubspace.of(study, of_cell("resnet", rule) | {"d": 4}) for rule in FUSIONS},
        **{f"figure {name}": DrawFigure.of(study, {"figure": name}) for name in (*FIGURES, *CERTIFICATE_FIGURES)},
    }
    for name, names in family.items():
        steps |= {
            f"pretraining {name}": PretrainExpert.of(study, names | {"member": "expert_0"}),
            **({f"wider {name}": PretrainExpert.of(study, names | {"member": WIDER})} if name in WIDENABLE else {}),
            f"finetuning {name}": FinetuneExperts.of(study, names),
            **{f"fusion {name} {rule}": TrainFusion.of(study, of_cell(name, rule)) for rule in FUSIONS},
        }
    return {name: step.text for name, step in steps.items()}


def backwards(value: Any) -> Any:
    """The same configuration with the keys of every mapping in reverse order."""
    if isinstance(value, dict):
        return {key: backwards(inner) for key, inner in reversed(value.items())}
    return [backwards(inner) for inner in value] if isinstance(value, list) else value


def test_the_settings_do_not_depend_on_the_order_of_keys() -> None:
    assert list(backwards(DEFAULT)) != list(DEFAULT)
    assert slices(read_study(backwards(DEFAULT))) == slices(read_study(DEFAULT))


def test_the_settings_are_canonical_json_that_a_script_reads_back() -> None:
    study = read_study(DEFAULT)
    for text in slices(study).values():
        assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    step = CertifySubspace.of(study, of_cell("resnet", "multiplicative") | {"d": 4})
    assert CertifySubspace.from_json(step.text) == step
    assert step.identity() == of_cell("resnet", "multiplicative") | {"d": 4}


def keys_in(value: Any) -> set[str]:
    """All keys at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_in, value.values()))
    return set().union(*map(keys_in, value)) if isinstance(value, list) else set()


def test_added_keys_are_in_no_settings_until_they_are_used() -> None:
    """So no job of an older study has other settings than it had. `optimizer` of fused networks is older."""
    added = {*Recipe.model_fields, "schedule", "two_views"}
    texts = slices(read_study(DEFAULT))
    assert not set().union(*(keys_in(json.loads(text)) for text in texts.values())) & added
    assert "optimizer" not in keys_in(json.loads(texts["pretraining resnet"]))
    used = changed("pretraining.muon", {"steps": 3})
    assert slices(read_study(used)) == texts  # read by Muon alone
    used = changed("pretraining.optimizer", "muon", used)
    assert keys_in(json.loads(slices(read_study(used))["pretraining resnet"])) >= {"muon", "optimizer", "steps"}
    explicit = changed("evaluation.two_views", False, changed("fusion.image_sizes", []))
    assert slices(read_study(explicit)) == texts


def test_every_step_is_listed_under_its_rule() -> None:
    assert all(rule == step.rule for rule, step in STEPS.items())
    assert len(STEPS) == len(set(STEPS.values()))


JOINT = {f"fusion {name} {rule}" for name in ARCHITECTURE_SETTINGS for rule in FUSIONS}
FINETUNING = {f"finetuning {name}" for name in ARCHITECTURE_SETTINGS}
PRETRAINING = {f"pretraining {name}" for name in ARCHITECTURE_SETTINGS}
WIDENED = {f"wider {name}" for name in WIDENABLE}
TRAINED = PRETRAINING | WIDENED | JOINT | FINETUNING
PICTURES = {f"figure {name}" for name in (*FIGURES, *CERTIFICATE_FIGURES)}
INTERVALS = {f"figure {name}" for name in ("lambda_ablation", "fusion_comparison", "diversity", "certified_vs_test")}
SUBSPACE = {f"subspace {rule}" for rule in FUSIONS}
SCORES = {"scores", "baselines"}


def of_architecture(name: str) -> set[str]:
    return {f"pretraining {name}", f"finetuning {name}"} | {f"fusion {name} {rule}" for rule in FUSIONS}


def of_rule(rule: str) -> set[str]:
    return {f"fusion {name} {rule}" for name in ARCHITECTURE_SETTINGS}


ATTENTION = {what for rule in ATTENTION_RULES for what in (*of_rule(rule), f"subspace {rule}")}
TOUCHES = [
    ("name", "other", PICTURES | {"tables", "certificate tables"}),
    ("results_dir", "elsewhere", set()),
    ("only_finished", True, set()),
    ("data.seed", 5, {"images"}),
    ("splits.seed", 7, {"splits"}),
    ("splits.scheme", "disjoint", {"splits", "certificate gathering"}),
    ("splits.experts", 3, {"splits", "gathering"}),
    ("architectures.densenet.growth", 12, of_architecture("densenet")),
    ("pretraining.epochs", 31, PRETRAINING | WIDENED),
    ("pretraining.augmentation.flip", True, PRETRAINING | WIDENED),
    ("pretraining.schedule", "triangular", PRETRAINING | WIDENED),
    ("pretraining.train_norm_scales", False, PRETRAINING | WIDENED),
    ("fusion.weight_average_decay", 0.9, JOINT | FINETUNING),
    ("fusion.muon.steps", 3, set()),
    ("evaluation.two_views", True, SCORES),
    ("pretraining.per_architecture.resnet.lr", 0.3, {"pretraining resnet", "wider resnet"}),
    ("fusion.epochs", 41, JOINT | FINETUNING),
    ("fusion.expert_lr", 0.003, (JOINT | FINETUNING) - of_rule("TransformerBase")),
    ("fusion.per_fusion.multiplicative.epochs", 3, of_rule("multiplicative")),
    ("fusion.per_fusion.concatenation.epochs", 3, of_rule("concatenation") | FINETUNING),
    # what concerns the fusion module alone does not train the unfused control again
    ("fusion.fusion_lr", 0.003, JOINT - of_rule("TransformerBase")),
    ("fusion.hidden_dim", 16, JOINT | SUBSPACE),
    ("fusion.attention_heads", 2, ATTENTION),
    ("fusion.cross_expert_attention", False, ATTENTION),
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
    ("execution.threads", 2, TRAINED | SUBSPACE | SCORES | {"joint certificate"}),
    ("evaluation.calibration_bins", 10, SCORES),
    ("evaluation.superclasses", "cifar100", SCORES),
    ("statistics.confidence", 0.9, {"comparison", "tables"} | INTERVALS),
    ("statistics.bootstrap_samples", 50, {"comparison", "tables"}),
    ("statistics.seed", 1, {"comparison"}),
    ("statistics.convergence_tolerance", 0.01, {"figure lambda_ablation"}),
    ("figures.diversity.baseline_colour", "#000000", {"figure diversity"}),
    ("certificates.delta", 0.01, SUBSPACE | {"joint certificate"}),
    ("certificates.levels", [3], SUBSPACE | {"certificate gathering"}),
    ("certificates.joint_levels", 5, {"joint certificate"}),
    ("certificates.training.lr", 0.1, SUBSPACE),
    ("certificates.training.augmentation", "standard", SUBSPACE),
    ("certificates.blocks.0.dims", [4], {"certificate gathering"}),
    ("certificate_figures.certified_vs_test.dpi", 100, {"figure certified_vs_test"}),
    # what they touch: tests/study/test_sublora.py
    ("sublora.training.lr", 0.1, set()),
    ("sublora_figures.pareto_frontier.dpi", 100, set()),
    ("jobs_per_gpu", 2, set()),
]


@pytest.mark.parametrize(("path", "value", "touched"), TOUCHES, ids=[case[0] for case in TOUCHES])
def test_a_key_touches_the_settings_of_its_steps_alone(path: str, value: Any, touched: set[str]) -> None:
    config = changed("fusion.per_fusion", {"TransformerBase": {"expert_lr": 5e-4, "fusion_lr": 1e-3}})
    before, after = slices(read_study(config)), slices(read_study(changed(path, value, config)))
    assert {rule for rule, text in before.items() if after[rule] != text} == touched


def test_every_section_is_in_the_table_above() -> None:
    assert {path.split(".")[0] for path, _, _ in TOUCHES} == set(Study.model_fields)
