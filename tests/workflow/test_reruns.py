"""A change reruns exactly what it touches: the set of jobs after each kind of change of a finished study."""

from collections.abc import Callable
from typing import Any

import pytest
from tree_changes import edited, reordered, setting, touched

pytestmark = pytest.mark.slow

TRAIN = {"train_fusion resnet/concatenation/0.5/0", "train_fusion resnet/concatenation/1.0/0"}
SCORE = {"evaluate_fusion resnet/concatenation/0.5/0", "evaluate_fusion resnet/concatenation/1.0/0"}
PRETRAIN = {f"pretrain_expert resnet/{member}/0" for member in ("expert_0", "expert_1", "single")}
FINETUNE = {"finetune_experts resnet/0"}
BASELINES = {"evaluate_baselines resnet/0"}
NAMES = ("lambda_ablation", "fusion_comparison", "reliability", "training_curves", "diversity")
FIGURES = {f"draw_figure {name}" for name in NAMES}
REPORT = FIGURES | {"write_tables", "write_start_page", "all"}
GATHER = {"gather", "compare_cells"} | REPORT
COMPARED = {
    "compare_cells",
    "draw_figure lambda_ablation",
    "draw_figure fusion_comparison",
    "write_tables",
    "write_start_page",
    "all",
}
SCORES = SCORE | BASELINES | GATHER
TRAINED = PRETRAIN | FINETUNE | TRAIN | SCORES
EVERYTHING = {"prepare_images", "split_images"} | TRAINED


def docstring_and_comment(tree: Any) -> None:
    """Change what the program does not see, where every training would."""
    edited("lib/certifuse/training/losses.py", '"""The cross-entropy of each expert', '"""Cross-entropies, one each')(
        tree
    )
    edited("lib/certifuse/training/losses.py", "\n\ndef ", "\n\n# A comment.\n\n\ndef ")(tree)
    edited("workflow/scripts/train_fusion.py", "def run(", "# A comment.\ndef run(")(tree)


LOSS = "lib/certifuse/training/losses.py"
OF_ALL = ("logits_NK.float(), targets_NK", "logits_NK, targets_NK")
BESIDE = ("(1 - label_smoothing)", "(1 - 2 * label_smoothing)")
CHANGES: dict[str, tuple[Callable[[Any], None], set[str]]] = {
    "nothing": (lambda tree: None, set()),
    "keys reordered": (reordered, set()),
    "sources touched": (touched, set()),
    "comment and docstring": (docstring_and_comment, set()),
    "default written out": (setting("fusion.batch_size", 128), set()),
    "one lambda": (
        setting("grid.0.lambdas", ["2.0", "1.0"]),
        {"train_fusion resnet/concatenation/2.0/0", "evaluate_fusion resnet/concatenation/2.0/0"} | GATHER,
    ),
    "one lambda less": (setting("grid.0.lambdas", ["1.0"]), GATHER),
    "fusion learning rate": (setting("fusion.fusion_lr", 0.003), TRAIN | SCORE | GATHER),
    "expert learning rate": (setting("fusion.expert_lr", 0.003), FINETUNE | TRAIN | SCORES),
    "learning rate of another rule": (setting("fusion.per_fusion", {"multiplicative": {"fusion_lr": 0.003}}), set()),
    "pretraining epochs": (setting("pretraining.epochs", 2), TRAINED),
    "splits": (setting("splits.seed", 43), EVERYTHING - {"prepare_images"}),
    "data": (setting("data.seed", 1), EVERYTHING),
    "no single model": (setting("baselines.single_model_seeds", []), BASELINES | GATHER),
    "colour of a figure": (
        setting("figures.reliability.baseline_colour", "#111111"),
        {"draw_figure reliability", "write_start_page", "all"},
    ),
    "calibration bins": (setting("evaluation.calibration_bins", 10), SCORES),
    "confidence": (setting("statistics.confidence", 0.9), COMPARED | {"draw_figure diversity"}),
    "bootstrap samples": (setting("statistics.bootstrap_samples", 60), COMPARED),
    "name of the study": (setting("name", "other"), REPORT),
    "loss of all networks": (edited(LOSS, *OF_ALL), TRAINED),
    "loss of experts beside each other": (edited(LOSS, *BESIDE), FINETUNE | TRAIN | SCORES),
    "script of a figure": (
        edited(
            "workflow/scripts/draw_figure.py",
            "    draw_figure(step, files)\n",
            "    print()\n    draw_figure(step, files)\n",
        ),
        FIGURES | {"write_start_page", "all"},
    ),
}


@pytest.fixture(scope="module")
def plans(finished: Any, in_parallel: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The jobs that each change would bring."""

    def plan(name: str) -> set[str]:
        tree = finished.copy(tmp_path_factory.mktemp("changed"))
        CHANGES[name][0](tree)
        return tree.planned()

    return in_parallel(plan, {name: (name,) for name in CHANGES})


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_reruns_what_it_touches(plans: Any, name: str) -> None:
    assert plans[name].result() == CHANGES[name][1]


@pytest.mark.parametrize("rule", ["pretrain_expert", "train_fusion"])
def test_a_time_limit_reaches_the_training_and_reruns_nothing(finished: Any, rule: str) -> None:
    limits = ("--set-resources", f"{rule}:runtime=12h")
    assert finished.planned(*limits) == set()
    forced = finished.snakemake("-n", "-p", "--forcerun", rule, *limits).stdout
    commands = [line for line in forced.splitlines() if f"/{rule}.py" in line]
    assert commands
    assert all("--time-budget-min 720 " in line for line in commands)


# ---- with certificates -----------------------------------------------------------------------------

BLOCK = {"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["1.0"], "seeds": [0], "dims": [4]}
CERTIFICATES = {"levels": [3], "training": {"epochs": 1, "quantised_epochs": 1}, "blocks": [BLOCK]}
SUBSPACE = {"certify_subspace resnet/4/concatenation/1.0/0"}
JOINT = {"certify_joint resnet/concatenation/1.0/0"}
CERTIFICATE_NAMES = ("certified_vs_dimension", "certified_vs_lambda", "certificate_frontier", "certified_vs_test")
CERTIFICATE_FIGURES = {f"draw_figure {name}" for name in CERTIFICATE_NAMES}
CERTIFICATE_REPORT = CERTIFICATE_FIGURES | {"write_certificate_tables", "write_start_page", "all"}
GATHER_CERTIFICATES = {"gather_certificates"} | CERTIFICATE_REPORT
CERTIFIED = SUBSPACE | JOINT | GATHER_CERTIFICATES

CERTIFICATE_CHANGES: dict[str, tuple[Callable[[Any], None], set[str]]] = {
    "nothing": (lambda tree: None, set()),
    "keys reordered": (reordered, set()),
    "default written out": (setting("certificates.training.projector", "kronecker"), set()),
    "no more certificates": (setting("certificates.blocks", []), {"write_start_page", "all"}),
    "delta": (setting("certificates.delta", 0.01), CERTIFIED),
    "levels": (setting("certificates.levels", [5]), SUBSPACE | GATHER_CERTIFICATES),
    "joint levels": (setting("certificates.joint_levels", 5), JOINT | GATHER_CERTIFICATES),
    "one dimension more": (
        setting("certificates.blocks.0.dims", [4, 8]),
        {"certify_subspace resnet/8/concatenation/1.0/0"} | GATHER_CERTIFICATES,
    ),
    "one lambda more": (
        setting("certificates.blocks.0.lambdas", ["1.0", "0.5"]),
        {"certify_subspace resnet/4/concatenation/0.5/0", "certify_joint resnet/concatenation/0.5/0"}
        | GATHER_CERTIFICATES,
    ),
    "rate in the subspace": (setting("certificates.training.lr", 0.1), SUBSPACE | GATHER_CERTIFICATES),
    "rate of joint training": (
        setting("fusion.fusion_lr", 0.003),
        TRAIN | SCORE | GATHER | JOINT | GATHER_CERTIFICATES,
    ),
    "fusion module": (setting("fusion.hidden_dim", 8), TRAIN | SCORE | GATHER | CERTIFIED),
    "pretraining epochs": (setting("pretraining.epochs", 2), TRAINED | CERTIFIED),
    "splits": (setting("splits.seed", 43), EVERYTHING - {"prepare_images"} | CERTIFIED),
    "colour of a figure": (
        setting("certificate_figures.certified_vs_test.baseline_colour", "#111111"),
        {"draw_figure certified_vs_test", "write_start_page", "all"},
    ),
    "confidence": (
        setting("statistics.confidence", 0.9),
        COMPARED | {"draw_figure diversity", "draw_figure certified_vs_test"},
    ),
    "loss of all networks": (edited(LOSS, *OF_ALL), TRAINED | CERTIFIED),
    "loss of experts beside each other": (edited(LOSS, *BESIDE), FINETUNE | TRAIN | SCORES | CERTIFIED),
    "near ties": (edited("lib/certifuse/evaluation/images/decisions.py", "TIE = 1e-4", "TIE = 1e-3"), CERTIFIED),
    "inequalities of the claim": (
        edited("lib/certifuse/evaluation/bounds/claims.py", '("binomial", "excess_betting")', '("binomial", "kl")'),
        CERTIFIED,
    ),
    "gathering": (
        edited("lib/certifuse/steps/gather_certificates.py", '"no certificate was written"', '"absent"'),
        GATHER_CERTIFICATES,
    ),
    "verification": (
        edited("lib/certifuse/certificates/images/checks.py", 'expect("identity.d",', 'expect("d",'),
        set(),
    ),
}


@pytest.fixture(scope="module")
def certificate_plans(finished: Any, in_parallel: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The jobs that each change would bring once the finished study has been certified; and what that took."""
    certified = finished.copy(tmp_path_factory.mktemp("certified"))
    setting("certificates", CERTIFICATES)(certified)
    first = certified.planned()
    done = certified.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr

    def plan(name: str) -> set[str]:
        tree = certified.copy(tmp_path_factory.mktemp("changed"))
        CERTIFICATE_CHANGES[name][0](tree)
        return set(tree.planned())

    return first, in_parallel(plan, {name: (name,) for name in CERTIFICATE_CHANGES})


def test_certificates_are_added_to_a_finished_study(certificate_plans: Any) -> None:
    assert certificate_plans[0] == CERTIFIED


@pytest.mark.parametrize("name", CERTIFICATE_CHANGES)
def test_a_change_reruns_the_certificates_that_it_touches(certificate_plans: Any, name: str) -> None:
    assert certificate_plans[1][name].result() == CERTIFICATE_CHANGES[name][1]


# ---- missing results -------------------------------------------------------------------------------


def test_without_results_every_job_is_planned(copied: Any) -> None:
    """The negative control: the jobs above would be seen."""
    for folder in ("results", ".snakemake"):
        (copied.root / folder).rename(copied.root / f"away_{folder}")
    assert copied.planned() == EVERYTHING


def test_a_missing_cell_is_shown_as_missing_with_only_finished_and_run_without(copied: Any) -> None:
    cell = "results/metrics/cells/resnet/concatenation/lambda_0.5/seed_0"
    for path in (copied.root / cell).iterdir():
        path.unlink()
    assert copied.planned("--config", "only_finished=true") == GATHER
    outdated = ("--config", "only_finished=true", 'fusion={"fusion_lr": 0.003}')
    assert copied.planned(*outdated) == GATHER, "cells of other settings are not run either"

    done = copied.snakemake("results/metrics/missing.csv", "--config", "only_finished=true")
    assert done.returncode == 0, done.stdout + done.stderr
    missing = (copied.root / "results/metrics/missing.csv").read_text(encoding="utf-8").splitlines()
    assert len(missing) == 2
    assert {"resnet", "concatenation", "0.5", "0"} <= set(missing[1].split(",")), missing
    summary = (copied.root / "results/metrics/fusion_performance_summary.csv").read_text(encoding="utf-8")
    assert "concatenation,1.0" in summary
    assert "concatenation,0.5" not in summary

    assert copied.planned() == {"evaluate_fusion resnet/concatenation/0.5/0"} | GATHER
