"""The configuration: what is refused and with which words, what each rule depends on, which cells there are."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from certifuse.errors import UserError
from certifuse.layout import SINGLE, WIDER
from certifuse.models import architectures, fusion
from certifuse.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.settings.augmentation import AUGMENTATIONS
from certifuse.settings.evaluation import EvaluationSettings
from certifuse.settings.figures import CERTIFICATE_FIGURES, FIGURES
from certifuse.settings.fusion import FUSIONS, GUIDE_DEFAULTS, FusionSettings
from certifuse.study import Study, read_study

CONFIG = Path(__file__).resolve().parents[1] / "config"
DEFAULT = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
NAMES = "resnet, densenet, improved_wide_resnet, resnext"
RULES = "multiplicative, multiplicativeAddition, TransformerBase, concatenation, simpleAddition, multiplicativeShifted"
SECTIONS = (
    "name, results_dir, data, splits, architectures, pretraining, fusion, grid, baselines, execution, evaluation, "
    "statistics, certificates, figures, certificate_figures, sublora, sublora_figures, jobs_per_gpu, only_finished"
)
REMOVED = object()


def changed(path: str, value: Any, config: Any = DEFAULT) -> Any:
    """A copy of the configuration with the value at a dotted path replaced, added or removed."""
    copied = here = copy.deepcopy(config)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        here = here[part] if isinstance(here, list) else here.setdefault(part, {})
    if value is REMOVED:
        del here[last]
    else:
        here[last] = value
    return copied


# ---- refusals: one line each, with path, value, what is allowed, the nearest spelling --------------

SCORING = ", ".join(EvaluationSettings.model_fields)
REFUSED = [
    # unknown keys, at the top and nested, in mappings of models and in members of a union
    ("grids", 1, f"config: grids: unknown key; allowed: {SECTIONS}; did you mean 'grid'?"),
    ("evaluation.bins", 9, f"config: evaluation.bins: unknown key; allowed: {SCORING}"),
    ("architectures.resnt", {}, f"config: architectures.resnt: unknown key; allowed: {NAMES}; did you mean 'resnet'?"),
    (
        "fusion.per_fusion.concatenaton",
        {},
        f"config: fusion.per_fusion.concatenaton: unknown key; allowed: {RULES}; did you mean 'concatenation'?",
    ),
    (
        "pretraining.per_architecture.resnext.weight_decy",
        1,
        "config: pretraining.per_architecture.resnext.weight_decy: unknown key; allowed: epochs, batch_size, lr, "
        "warmup_epochs, momentum, weight_decay, label_smoothing, augmentation, clip_norm, early_stopping_patience; "
        "did you mean 'weight_decay'?",
    ),
    (
        "fusion.augmentation.flp",
        True,
        "config: fusion.augmentation.flp: unknown key; allowed: crop_padding, flip, mixup_alpha, cutmix_alpha, "
        "mix_probability, erasing_probability; did you mean 'flip'?",
    ),
    ("data.path", "x", "config: data.path: unknown key; allowed: source, test_fraction, seed"),
    ("digits", 1, f"config: digits: unknown key; allowed: {SECTIONS}"),
    (
        "grid.0.lambda",
        ["1.0"],
        "config: grid.0.lambda: unknown key; allowed: architectures, fusions, lambdas, seeds; did you mean 'lambdas'?",
    ),
    # wrong types
    ("fusion.epochs", "10", 'config: fusion.epochs: expected a whole number, found "10"'),
    ("fusion.epochs", 2.5, "config: fusion.epochs: expected a whole number, found 2.5"),
    ("fusion.epochs", True, "config: fusion.epochs: expected a whole number, found true"),
    ("pretraining.lr", "fast", 'config: pretraining.lr: expected a number, found "fast"'),
    ("fusion", None, "config: fusion: expected a mapping, found null"),
    ("data", "digits", 'config: data: expected a mapping, found "digits"'),
    ("grid", {}, "config: grid: expected a list, found {}"),
    ("grid.0.lambdas", "1.0", 'config: grid.0.lambdas: expected a list, found "1.0"'),
    ("only_finished", "yes", 'config: only_finished: expected true or false, found "yes"'),
    ("name", 5, 'config: name: expected a string, found 5: write it in quotes ("5")'),
    # out of range
    ("fusion.epochs", 0, "config: fusion.epochs: expected a value greater than or equal to 1, found 0"),
    ("fusion.expert_lr", -1, "config: fusion.expert_lr: expected a value greater than 0, found -1"),
    ("fusion.dropout", 1.0, "config: fusion.dropout: expected a value less than 1, found 1.0"),
    ("data.test_fraction", 1.5, "config: data.test_fraction: expected a value less than 1, found 1.5"),
    ("pretraining.lr", math.nan, "config: pretraining.lr: expected a finite number, found NaN"),
    ("pretraining.lr", math.inf, "config: pretraining.lr: expected a finite number, found Infinity"),
    ("grid.0.seeds.1", -1, "config: grid.0.seeds.1: expected a value greater than or equal to 0, found -1"),
    ("certificates.blocks.0.dims", [], "config: certificates.blocks.0.dims: expected at least 1 in the list, found []"),
    ("figures.diversity.palette", [], "config: figures.diversity.palette: expected at least 6 in the list, found []"),
    (
        "figures.diversity.baseline_colour",
        "red",
        'config: figures.diversity.baseline_colour: expected text that matches ^#[0-9a-fA-F]{6}$, found "red"',
    ),
    # names that do not exist
    (
        "grid.0.architectures.0",
        "resnet18",
        f"config: grid.0.architectures.0: expected one of {NAMES}, found \"resnet18\"; did you mean 'resnet'?",
    ),
    (
        "grid.1.fusions.3",
        "simpleAdition",
        f"config: grid.1.fusions.3: expected one of {RULES}, found \"simpleAdition\"; did you mean 'simpleAddition'?",
    ),
    (
        "fusion.augmentation",
        "strog",
        "config: fusion.augmentation: unknown recipe; allowed: none, standard, balanced, cutmix, strong; "
        "did you mean 'strong'?; found \"strog\"",
    ),
    ("splits.scheme", "IID", 'config: splits.scheme: expected one of iid, disjoint, by_class, found "IID"'),
    (
        "data.source",
        "cifar",
        "config: data.source: expected one of digits, cifar10, cifar100, npz, found \"cifar\"; did you mean 'cifar10'?",
    ),
    (
        "execution.compile",
        False,
        "config: execution.compile: expected one of auto, on, off, found false: "
        'YAML reads on and off as truth values, so write "on" and "off"',
    ),
    # lambdas
    ("grid.0.lambdas.1", 0.5, 'config: grid.0.lambdas.1: expected a string, found 0.5: write it in quotes ("0.5")'),
    (
        "grid.1.lambdas.0",
        "1.00",
        'config: grid.1.lambdas: expected "1.0", as in grid.0.lambdas, found "1.00": spell a value one way',
    ),
    (
        "certificates.blocks.1.lambdas",
        ["5"],
        'config: certificates.blocks.1.lambdas: expected "5.0", as in grid.0.lambdas, found "5": spell a value one way',
    ),
    (
        "grid.0.lambdas.0",
        "0.1234567890123456789",
        'config: grid.0.lambdas.0: expected at most 20 characters, found "0.1234567890123456789"',
    ),
    (
        "grid.0.lambdas.0",
        "-1",
        'config: grid.0.lambdas.0: expected text that matches ^(0|[1-9][0-9]*)(\\.[0-9]+)?$, found "-1"',
    ),
    (
        "grid.0.lambdas.0",
        "1.0\n",
        'config: grid.0.lambdas.0: expected text that matches ^(0|[1-9][0-9]*)(\\.[0-9]+)?$, found "1.0\\n"',
    ),
    ("grid.0.lambdas", ["1.0", "1.0"], "config: grid.0.lambdas: expected each value once, found 1.0 more than once"),
    ("grid.0.seeds", [2, 0, 2], "config: grid.0.seeds: expected each value once, found 2 more than once"),
    # required keys
    (
        "baselines.single_model_seeds",
        [0, 0],
        "config: baselines.single_model_seeds: expected each value once, found 0 more than once",
    ),
    ("data", REMOVED, "config: data: this key is required beside grid or certificates, found none"),
    ("data", None, "config: data: this key is required beside grid or certificates, found none"),
    ("data.source", REMOVED, "config: data.source: this key is required"),
    ("data", {"source": "npz"}, "config: data.path: this key is required"),
    ("grid.2.seeds", REMOVED, "config: grid.2.seeds: this key is required"),
    # certificates
    ("certificates.delta", 1, "config: certificates.delta: expected a value less than 1, found 1"),
    ("certificates.delta", 0.0, "config: certificates.delta: expected a value greater than 0, found 0.0"),
    (
        "certificates.levels",
        [3, 1],
        "config: certificates.levels.1: expected a value greater than or equal to 2, found 1",
    ),
    ("certificates.levels", [3, 7, 3], "config: certificates.levels: expected each value once, found 3 more than once"),
    ("certificates.levels", [], "config: certificates.levels: expected at least 1 in the list, found []"),
    (
        "certificates.joint_levels",
        70_000,
        "config: certificates.joint_levels: expected a value less than or equal to 65535, found 70000",
    ),
    (
        "certificates.blocks.0.dims",
        [4, 0],
        "config: certificates.blocks.0.dims.1: expected a value greater than or equal to 1, found 0",
    ),
    (
        "certificates.blocks.0.dims",
        [16, 4, 16],
        "config: certificates.blocks.0.dims: expected each value once, found 16 more than once",
    ),
    ("certificates.blocks.0.dims", REMOVED, "config: certificates.blocks.0.dims: this key is required"),
    (
        "certificates.blocks.1.lambdas",
        [0.1],
        'config: certificates.blocks.1.lambdas.0: expected a string, found 0.1: write it in quotes ("0.1")',
    ),
    (
        "certificates.block",
        [],
        "config: certificates.block: unknown key; allowed: delta, blocks, levels, training, joint_levels; "
        "did you mean 'blocks'?",
    ),
    (
        "certificates.training.projector",
        "kroneker",
        'config: certificates.training.projector: expected one of dense, kronecker, sparse, found "kroneker"; '
        "did you mean 'kronecker'?",
    ),
    (
        "certificates.training.parameters",
        "head",
        'config: certificates.training.parameters: expected one of everything, fusion_and_head, found "head"',
    ),
    (
        "certificates.training.codebook",
        "kmeans",
        'config: certificates.training.codebook: expected one of free, symmetric, uniform, found "kmeans"',
    ),
    (
        "certificates.training.projector_seed",
        -1,
        "config: certificates.training.projector_seed: expected a value greater than or equal to 0, found -1",
    ),
    ("certificates.training.lr", 0, "config: certificates.training.lr: expected a value greater than 0, found 0"),
    ("certificates.training.epochs", "5", 'config: certificates.training.epochs: expected a whole number, found "5"'),
    (
        "certificate_figures.certified_vs_dimention",
        {},
        "config: certificate_figures.certified_vs_dimention: unknown key; allowed: certified_vs_dimension, "
        "certified_vs_lambda, certificate_frontier, certified_vs_test; did you mean 'certified_vs_dimension'?",
    ),
    # keys that must agree
    (
        "splits.unique_fraction",
        0.5,
        "config: splits.shared_fraction: expected shared_fraction + experts x unique_fraction of at most 1 "
        "for scheme iid, found 2.1: lower one of them",
    ),
    (
        "splits.certificate_fraction",
        0.9,
        "config: splits.validation_fraction: expected validation_fraction + certificate_fraction below 1, found 1.15: "
        "nothing is left to train fusion on",
    ),
    (
        "architectures.improved_wide_resnet.depth",
        11,
        "config: architectures.improved_wide_resnet.depth: expected 6 n + 4 with n >= 1 (10, 16, 22, 28, ...), "
        "found 11",
    ),
    (
        "baselines.single_model_seeds",
        [0, 7],
        "config: baselines.single_model_seeds: expected seeds of the grid (0, 1, 2), found 7",
    ),
    (
        "fusion.initial_components",
        "runs/{arch}",
        "config: fusion.initial_components: expected a directory with no placeholders but {architecture}, {fusion}, "
        '{lambda}, {seed}; found "runs/{arch}"',
    ),
]


@pytest.mark.parametrize(("path", "value", "line"), REFUSED)
def test_a_mistake_is_one_line(path: str, value: Any, line: str) -> None:
    with pytest.raises(UserError) as raised:
        read_study(changed(path, value))
    assert str(raised.value) == line


def test_several_mistakes_are_one_line_each() -> None:
    config = changed("pretraining.epochs", "thirty", changed("fusion.epoch", 3, changed("name", "a b")))
    with pytest.raises(UserError) as raised:
        read_study(config)
    lines = str(raised.value).splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["name", "pretraining.epochs", "fusion.epoch"]


def test_a_long_value_is_cut() -> None:
    with pytest.raises(UserError, match=r'found "x{76}\.\.\.$'):
        read_study(changed("pretraining.lr", "x" * 500))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("pretraining.lr", "1e-4"),  # YAML 1.1 reads 1e-4 as text
        ("pretraining.lr", 1),
        ("grid.0.lambdas", ["0", "4", "0.25"]),
        ("fusion.augmentation", "strong"),
        ("fusion.initial_components", "first/{architecture}/{fusion}/{lambda}/{seed}"),
    ],
)
def test_what_is_accepted(path: str, value: Any) -> None:
    read_study(changed(path, value))


def test_a_number_without_a_dot_is_that_number() -> None:
    assert read_study(changed("fusion.expert_lr", "1e-4")).fusion.expert_lr == 1e-4


@pytest.mark.parametrize("written", ["results/small/", "./results/small", "results//small"])
def test_the_results_directory_has_one_spelling(written: str) -> None:
    assert read_study(changed("results_dir", written)).results_dir == "results/small"


# ---- the command line, where Snakemake hands nested values over as text ----------------------------


def overridden(**command_line: Any) -> Study:
    """As Snakemake does: the command line is merged into the file, then both are handed over."""
    merged = {
        key: {**DEFAULT[key], **value} if isinstance(value, dict) else value for key, value in command_line.items()
    }
    return read_study(DEFAULT | merged, command_line)


def test_nested_texts_of_the_command_line_become_what_the_key_wants() -> None:
    study = overridden(
        fusion={"epochs": "3", "expert_lr": "0.01", "hidden_dim": "null", "dimension_adaptive_lr": "false"},
        only_finished="true",
    )
    chosen = study.fusion
    assert (chosen.epochs, chosen.expert_lr, chosen.hidden_dim, chosen.dimension_adaptive_lr) == (3, 0.01, None, False)
    assert study.only_finished is True
    assert chosen.batch_size == DEFAULT["fusion"]["batch_size"]


def test_lambdas_of_the_command_line_stay_text_and_seeds_become_numbers() -> None:
    block = {"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["4.0", "0.5"], "seeds": ["0"]}
    assert [(cell.lam, cell.seed) for cell in overridden(grid=[block]).cells] == [("4.0", 0), ("0.5", 0)]


@pytest.mark.parametrize(
    "text", ["three", "3.0", "[3]", "{", "0", "2026-01-01", "!!binary aGk=", "9" * 5000, "[" * 3000], ids=range(9)
)
def test_a_wrong_text_of_the_command_line_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match=r"^config: fusion\.epochs: expected [^\n]*$"):
        overridden(fusion={"epochs": text})


def test_a_text_in_the_file_is_not_read_as_a_number() -> None:
    with pytest.raises(UserError, match=r'found "3"$'):
        read_study(changed("fusion.epochs", "3"), {"name": "other"})


# ---- frozen, canonical -----------------------------------------------------------------------------


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
    # what they touch: tests/test_study_sublora.py
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


# ---- the guides' numbers, the registries -----------------------------------------------------------

# Rates: the table "Fusion-Specific Optimization" of the framework readme. Epochs: the models table of the Slurm guide.
GUIDES = {
    "multiplicative": (80, 1e-4, 5e-4),
    "multiplicativeAddition": (100, 1e-4, 1e-3),
    "TransformerBase": (120, 5e-5, 2e-4),
    "concatenation": (100, 1e-4, 1e-3),
}


@pytest.mark.parametrize("rule", FUSIONS)
def test_a_null_takes_the_guides_value(rule: str) -> None:
    """The two rules that the guides leave open take the numbers of the rule they resemble."""
    like = {"simpleAddition": "concatenation", "multiplicativeShifted": "multiplicative"}.get(rule, rule)
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


def test_settings_and_models_have_the_same_names() -> None:
    assert set(GUIDE_DEFAULTS) == set(FUSIONS) == set(fusion.FUSIONS)
    assert set(ARCHITECTURE_SETTINGS) == set(architectures.ARCHITECTURES)


# ---- the grid --------------------------------------------------------------------------------------


def test_certificates_are_a_product_and_cells_outside_the_grid_have_no_joint_line() -> None:
    common = {"architectures": ["resnet"], "fusions": ["concatenation"], "seeds": [0, 1]}
    blocks = [common | {"lambdas": ["1.0", "7.0"], "dims": [4, 16]}, common | {"lambdas": ["1.0"], "dims": [16, 64]}]
    study = read_study(changed("certificates.blocks", blocks))
    found = [(cell.lam, cell.seed, cell.dim) for cell in study.subspace_cells]
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
    assert study.families == (("resnet", 0), ("resnet", 1), ("densenet", 0), ("densenet", 1))
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
