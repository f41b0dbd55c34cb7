"""What a user sees before anything runs: how many jobs of which rules, of whole studies and of single files."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools import needs

CELL = "results/fusion_checkpoints/resnet_fusions_lambda_1.0/concatenation/seed_0/manifest.json"
CERTIFICATE = "results/certificates/resnet_concatenation_lambda_5.0/seed_0/d_16/levels_7/certificate.json"

REPORTING = {"gather": 1, "compare_cells": 1, "write_tables": 1, "write_start_page": 1, "all": 1}
FIGURES = {"config.yaml": 5 + 4 + 2 * 3 + 4, "cifar100_certificates.yaml": 5 + 4}
"""How many each study draws; the others 5."""
STUDIES = {
    "config.yaml": {"pretrain_expert": 32, "finetune_experts": 6, "train_fusion": 30},
    "cifar100_small.yaml": {"pretrain_expert": 29, "finetune_experts": 6, "train_fusion": 34},
    "cifar100.yaml": {"pretrain_expert": 56, "finetune_experts": 12, "train_fusion": 720},
    "cifar100_certificates.yaml": {"pretrain_expert": 4, "finetune_experts": 1, "train_fusion": 2},
}
CERTIFIED = {"gather_certificates": 1, "write_certificate_tables": 1}
SUBLORA = {
    **{"prepare_corpus": 1, "train_sublora": 6, "certify_sublora": 6, "certify_ngram": 3, "gather_sublora": 1},
    **{"gather_gates": 1, "write_sublora_tables": 1},
}
CERTIFICATES = {
    "config.yaml": {"certify_subspace": 9, "certify_joint": 7} | CERTIFIED | SUBLORA,
    "cifar100_certificates.yaml": {"certify_subspace": 6, "certify_joint": 2} | CERTIFIED,
}


@pytest.mark.parametrize("name", STUDIES)
def test_the_plan_of_a_shipped_study(sources: Any, count_jobs: Any, name: str) -> None:
    """Counts by hand: families x (experts + single models of seed 0), one control per family, one training per cell.

    Certificates: one training per cell of their blocks and dimension, one joint line per cell that is in the grid too.
    Each is planned within 10 s of one core; those count, since the clock would count other programs too.
    """
    images = sources.root / "data" / "cifar100.npz"
    images.parent.mkdir(exist_ok=True)
    images.touch()
    began = os.times()
    planned = sources.snakemake("-n", "--configfile", f"config/{name}")
    ended = os.times()
    cpu_s = ended.children_user - began.children_user + ended.children_system - began.children_system
    trained = STUDIES[name]
    evaluated = {"evaluate_fusion": trained["train_fusion"], "evaluate_baselines": trained["finetune_experts"]}
    certified = CERTIFICATES.get(name, {})
    counts = {"prepare_images": 1, "split_images": 1} | trained | evaluated | certified | REPORTING
    assert count_jobs(planned) == counts | {"draw_figure": FIGURES.get(name, 5)}
    assert 0.5 < cpu_s < 10


BARE: dict[str, Any] = {
    "name": "bare",
    "data": {"source": "digits"},
    "grid": [{"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["1.0"], "seeds": [0]}],
}

GATES = {"prepare_corpus": 1, "train_sublora": 2, "gather_gates": 1}


@pytest.mark.parametrize("figure", ["learned_gating_trend", "learned_gating_heatmap_d64"])
def test_a_figure_of_splits_needs_the_models_that_learn_them(sources: Any, count_jobs: Any, figure: str) -> None:
    planned = sources.snakemake("-n", f"results/figures/sublora/{figure}.png")
    trained = set(re.findall(r"mode=(\w+)", planned.stdout))
    assert (count_jobs(planned), trained) == (GATES | {"draw_figure": 1}, {"learned"})


@pytest.mark.parametrize("figure", ["pareto_frontier", "pareto_frontier_d63", "learned_gating_heatmap_d63"])
def test_a_figure_of_no_budget_of_the_study_is_refused_before_any_training(sources: Any, figure: str) -> None:
    planned = sources.snakemake("-n", f"results/figures/sublora/{figure}.png")
    assert planned.returncode == 1
    assert f"No rule to produce results/figures/sublora/{figure}.png" in planned.stdout


def test_the_catalogue_finds_the_same_workflow(sources: Any, count_jobs: Any) -> None:
    counts = count_jobs(sources.snakemake("-n", "-s", "workflow/Snakefile"))
    trained = STUDIES["config.yaml"]
    assert counts.pop("everything") == 1
    assert {rule: counts[rule] for rule in trained} == trained
    assert counts["draw_figure"] == FIGURES["config.yaml"]


def test_a_certificate_needs_the_experts_and_its_own_training(sources: Any, parse: Any) -> None:
    """Nothing is trained jointly for it, and it asks for what a training asks for."""
    jobs = parse(sources.snakemake("-n", "--", CERTIFICATE))
    experts = {f"pretrain_expert resnet/expert_{index}/0" for index in range(4)}
    certify = "certify_subspace resnet/16/concatenation/5.0/0"
    assert set(jobs) == {"prepare_images", "split_images", *experts, certify}
    assert set(jobs[certify].split(", ")) >= {"gpu=1", "runtime=720", "slurm_partition=gpu"}


def test_another_configfile_replaces_the_default_one(sources: Any, parse: Any) -> None:
    """No key of config/config.yaml leaks: the command would show the small networks of the digits."""
    (sources.root / "bare.yaml").write_text(yaml.safe_dump(BARE), encoding="utf-8")
    planned = sources.snakemake("-n", "-p", "--configfile", "bare.yaml", "--", CELL)
    assert sum(job.startswith("pretrain_expert ") for job in parse(planned)) == 4
    assert '"blocks":[2,2,2,2]' in planned.stdout
    assert '"epochs":200' in planned.stdout
    assert '"blocks":[1,1]' not in planned.stdout


def test_an_override_from_the_command_line_reaches_the_step(sources: Any, parse: Any) -> None:
    planned = sources.snakemake("-n", "-p", CELL, "--config", 'fusion={"epochs": 3, "batch_size": 64}', "name=trial")
    command = next(line for line in planned.stdout.splitlines() if "train_fusion.py" in line)
    assert '"epochs":3,' in command
    assert '"batch_size":64,' in command
    assert '"expert_lr":0.001,' in command, "the other keys of the section stay"
    assert len(parse(planned)) == 7


def test_an_override_of_the_grid_replaces_it(sources: Any, count_jobs: Any) -> None:
    block = '{"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["4.0", "6.0"], "seeds": [0]}'
    counts = count_jobs(sources.snakemake("-n", "--config", f"grid=[{block}]"))
    assert (counts["train_fusion"], counts["pretrain_expert"]) == (2, 4 + 2)


@pytest.mark.tools
def test_the_graph_is_dot_and_nothing_else(sources: Any, tmp_path: Path) -> None:
    graph = sources.snakemake("--dag")
    assert graph.returncode == 0
    assert graph.stdout.startswith("digraph snakemake_dag {")
    assert graph.stdout.rstrip().endswith("}")
    assert graph.stdout.count("train_fusion") == 30
    needs("dot")
    (tmp_path / "dag.dot").write_text(graph.stdout, encoding="utf-8")
    drawn = sources.run("dot", "-Tsvg", str(tmp_path / "dag.dot"))
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.rstrip().endswith("</svg>")


COUNTED = """
_of = TrainFusion.of.__func__


def _counted(cls, study, names):
    sys.stderr.write(f"settings of {names}\\n")
    return _of(cls, study, names)


TrainFusion.of = classmethod(_counted)
"""


def test_the_settings_of_a_job_are_built_once(sources: Any, count_jobs: Any, tmp_path: Path) -> None:
    """They are asked for twice, as text and for the modules in the fingerprint; planning takes long enough."""
    tree = sources.copy(tmp_path)
    module = tree.root / "lib" / "certifuse" / "study" / "steps" / "training.py"
    module.write_text(f"import sys\n{module.read_text(encoding='utf-8')}{COUNTED}", encoding="utf-8")
    tree.write_config(BARE | {"grid": [BARE["grid"][0] | {"seeds": [0, 1, 2]}]})
    planned = tree.snakemake("-n")
    assert planned.stderr.count("settings of") == count_jobs(planned)["train_fusion"] == 3


def test_a_python_without_docstrings_plans_the_same(sources: Any, tmp_path: Path) -> None:
    """Settings and fingerprints too: it would otherwise run everything again."""
    tree = sources.copy(tmp_path)
    commands = []
    for optimise in ("0", "2"):
        tree.variables["PYTHONOPTIMIZE"] = optimise
        planned = tree.snakemake("-n", "-p", CELL)
        commands.append(sorted(line for line in planned.stdout.splitlines() if "--source" in line))
    assert len(commands[0]) == 7
    assert commands[0] == commands[1]
