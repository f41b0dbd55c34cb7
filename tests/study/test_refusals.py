"""What is wrong in a configuration: one line each, with path, value, what is allowed and the nearest spelling."""

import math
from typing import Any

import pytest
from study_config import DEFAULT, REMOVED, changed

from certifuse.base.errors import UserError
from certifuse.study.settings.evaluation import EvaluationSettings
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.study.study import Study, read_study

NAMES = "resnet, densenet, improved_wide_resnet, resnext, speednet"
RULES = (
    "multiplicative, multiplicativeAddition, TransformerBase, concatenation, simpleAddition, multiplicativeShifted, "
    "averagePlusConcatenation, averagePlusTransformerBase"
)
SECTIONS = (
    "name, results_dir, data, splits, architectures, pretraining, fusion, grid, baselines, execution, evaluation, "
    "statistics, certificates, figures, certificate_figures, sublora, sublora_figures, jobs_per_gpu, only_finished"
)
SIZES = "config: pretraining.image_sizes: expected shares that rise from part to part"
EXPERTS = ", ".join(ExpertTraining.model_fields)
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
        f"config: pretraining.per_architecture.resnext.weight_decy: unknown key; allowed: {EXPERTS}; "
        "did you mean 'weight_decay'?",
    ),
    (
        "fusion.augmentation.flp",
        True,
        "config: fusion.augmentation.flp: unknown key; allowed: crop_padding, flip, mixup_alpha, cutmix_alpha, "
        "mix_probability, erasing_probability; did you mean 'flip'?",
    ),
    ("pretraining.image_sizes", [[0.5, 6], [0.5, 7]], f"{SIZES}, found 0.5, 0.5"),
    (
        "pretraining.image_sizes",
        [[1.5, 6]],
        "config: pretraining.image_sizes.0.0: expected a value less than 1, found 1.5",
    ),
    (
        "fusion.image_sizes",
        [[0.5, 6, 7]],
        "config: fusion.image_sizes.0: expected at most 2 in the list, found [0.5, 6, 7]",
    ),
    (
        "architectures.speednet",
        {"widths": [8, 8], "kernels": [3, 2]},
        "config: architectures.speednet.kernels: expected 2 odd sizes, one for each of widths, found 3, 2",
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


# ---- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["name", "results_dir"])
def test_quotes_are_not_asked_for_where_snakemake_takes_them_away(key: str) -> None:
    """`--config 'name="007"'` reaches this library as the number 7."""
    given = {key: 7}
    with pytest.raises(UserError, match=rf"^config: {key}: expected a string, found 7: put it into the configuration "):
        read_study(DEFAULT | given, command_line=given)
    with pytest.raises(UserError, match=r'found 7: write it in quotes \("7"\)$'):
        read_study(DEFAULT | given)


CIFAR = {"source": "cifar100", "root": "archive", "download": True}
NPZ = {"source": "npz", "path": "x.npz"}


@pytest.mark.parametrize("module", [None, "cifar"])
def test_a_source_on_the_command_line_replaces_the_section_of_the_file(module: str | None) -> None:
    """Snakemake has merged both already."""
    given = {"data": NPZ} if module is None else {module: {"data": NPZ}}
    study = read_study(DEFAULT | {"data": CIFAR | NPZ}, command_line=given)
    assert study.data is not None
    assert study.data.plain() == NPZ


def test_the_source_of_documents_too() -> None:
    corpus = {"source": "jsonl", "train": ["a.jsonl"]}
    merged = changed("sublora.corpus", {"source": "python_docs", "min_characters": 50} | corpus)
    study = read_study(merged, command_line={"sublora": {"corpus": corpus}})
    assert study.language.corpus.plain()["train"] == ["a.jsonl"]


def test_keys_without_a_source_change_the_section_of_the_file() -> None:
    given = {"data": {"root": "elsewhere"}}
    study = read_study(DEFAULT | {"data": CIFAR | given["data"]}, command_line=given)
    assert study.data is not None
    assert study.data.plain() == CIFAR | given["data"]


def test_a_wrong_key_on_the_command_line_is_refused_still() -> None:
    given = {"data": NPZ | {"root": "x"}}
    with pytest.raises(UserError, match=r"config: data\.root: unknown key; allowed: source, path"):
        read_study(DEFAULT | {"data": CIFAR | given["data"]}, command_line=given)
