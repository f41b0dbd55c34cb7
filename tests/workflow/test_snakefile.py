"""What a user of Snakemake sees: plans and their speed, refused configurations, resources, graph, recovery."""

import itertools
import os
import re
import signal
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools import needs

ROOT = Path(__file__).resolve().parents[2]
CELL = "results/fusion_checkpoints/resnet_fusions_lambda_1.0/concatenation/seed_0/manifest.json"
CERTIFICATE = "results/certificates/resnet_concatenation_lambda_5.0/seed_0/d_16/levels_7/certificate.json"
SCORED = "results/metrics/cells/resnet/concatenation/lambda_1.0/seed_0/metrics.csv"


# ---- form ------------------------------------------------------------------------------------------


def test_lint_has_nothing_to_say(sources: Any) -> None:
    linted = sources.snakemake("--lint")
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_snakefmt_would_change_nothing(sources: Any) -> None:
    checked = sources.run("snakefmt", "--check", "Snakefile", "rules", "workflow/Snakefile")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_rule_has_log_environment_settings_and_fingerprint() -> None:
    inherited = set(re.findall(r"^use rule \w+ as (\w+)", workflow_text(), flags=re.MULTILINE))
    for name, text in rules().items():
        if name in inherited:
            continue
        parts = ["log:", "conda:", "settings=", "source=source_fingerprint("] if name != "all" else []
        parts += ["benchmark:", "**TRAINING"] if "train" in name or "finetune" in name else []
        assert all(part in text for part in parts), (name, [part for part in parts if part not in text])


def test_no_rule_is_longer_than_twenty_lines() -> None:
    texts = re.findall(r"^(?:use )?rule .*(?:\n .*)+", workflow_text(), flags=re.MULTILINE)
    assert len(texts) == len(rules())
    assert {text.splitlines()[0]: lines for text in texts if (lines := len(text.splitlines())) > 20} == {}


def test_every_command_writes_its_errors_into_its_log(sources: Any) -> None:
    planned = sources.snakemake("-n", "-p").stdout
    logs = re.findall(r"^    log: (.*)$", planned, flags=re.MULTILINE)
    commands = re.findall(r"^Shell command: (python .*)$", planned, flags=re.MULTILINE)
    assert len(commands) == len(logs) == len(set(logs)) > 100
    assert all(command.endswith(f" 2> {log}") for command, log in zip(commands, logs, strict=True))


def pins(lines: list[str]) -> dict[str, str]:
    return {name.strip(): version for name, _, version in (line.partition("==") for line in lines) if version}


@pytest.mark.parametrize("file", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.name)
def test_the_pins_of_the_environments_are_those_of_the_lock(file: Path) -> None:
    lock = pins((ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines())
    environment = yaml.safe_load(file.read_text(encoding="utf-8"))
    entries = [entry for item in environment["dependencies"] if isinstance(item, dict) for entry in item["pip"]]
    pinned = pins(entries)
    assert len(pinned) == len(entries) > 0
    assert {name: lock.get(name) for name in pinned} == pinned


def test_the_lock_pins_every_dependency() -> None:
    lock = {canonical(name) for name in pins((ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines())}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    needed = [requirement for requirement in listed if canonical(requirement) != "certifuse"]
    assert {"torch", "tensorboard", "wandb", "snakemake", "pytest"} <= {canonical(name) for name in needed} <= lock


def canonical(requirement: str) -> str:
    """The name of a requirement, in the one spelling of the package index."""
    return re.sub("[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()  # type: ignore[index]


# ---- plans -----------------------------------------------------------------------------------------

REPORTING = {"gather": 1, "compare_cells": 1, "write_tables": 1, "all": 1}
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
    assert set(jobs[certify].split(", ")) >= GUIDES


def test_another_configfile_replaces_the_default_one(sources: Any, parse: Any) -> None:
    """No key of config/config.yaml leaks: the command would show the small networks of the digits."""
    config = {
        "name": "bare",
        "data": {"source": "digits"},
        "grid": [{"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["1.0"], "seeds": [0]}],
    }
    (sources.root / "bare.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
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


# ---- refusals: before any job, one line for each mistake, no traceback -----------------------------

REFUSED = [
    ('fusion={"epoch": 3}', "config: fusion.epoch: unknown key; allowed: "),
    ('fusion={"epochs": "three"}', 'config: fusion.epochs: expected a whole number, found "three"'),
    ("fusions=3", "config: fusions: unknown key; allowed: "),
    ("only_finished=perhaps", 'config: only_finished: expected true or false, found "perhaps"'),
]


@pytest.mark.parametrize(("override", "line"), REFUSED)
def test_a_wrong_override_is_one_line(sources: Any, override: str, line: str) -> None:
    done = sources.snakemake("--config", override)
    assert done.returncode == 1
    said = sources.said(done)
    assert len(said) == 1
    assert said[0].startswith(line)
    assert not (sources.root / "results").exists()


def test_a_wrong_configuration_file_is_one_line_for_each_mistake(sources: Any) -> None:
    config = (ROOT / "config" / "config.yaml").read_text(encoding="utf-8")
    wrong = config.replace("epochs: 30", "epochs: thirty").replace("scheme: iid", "sheme: iid")
    (sources.root / "wrong.yaml").write_text(wrong, encoding="utf-8")
    done = sources.snakemake("--configfile", "wrong.yaml")
    assert done.returncode == 1
    said = sources.said(done)
    assert [line.split(": ")[:2] for line in said] == [["config", "splits.sheme"], ["config", "pretraining.epochs"]]
    assert said[0].endswith("did you mean 'scheme'?")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("name: [a\n", "expected YAML, found while parsing a flow "),
        ("name: a\nname: b\n", "line 2: name: expected each key once, found it on line 1 too"),
    ],
)
def test_an_unreadable_default_configuration_is_one_line(
    sources: Any, tmp_path: Path, content: str, problem: str
) -> None:
    tree = sources.copy(tmp_path / "sources")
    file = tree.root / "config" / "config.yaml"
    file.write_text(content, encoding="utf-8")
    done = tree.snakemake("-n")
    assert done.returncode == 1
    (said,) = tree.said(done)
    assert said.startswith(f"{file}: {problem}")


def test_a_key_that_stands_twice_in_a_configfile_is_one_line(sources: Any) -> None:
    file = sources.root / "twice.yaml"
    text = (ROOT / "config" / "config.yaml").read_text(encoding="utf-8")
    file.write_text(f"{text}fusion: {{epochs: 3}}\n", encoding="utf-8")
    done = sources.snakemake("-n", "--configfile", "twice.yaml")
    assert done.returncode == 1
    (said,) = sources.said(done)
    assert re.fullmatch(rf"{file}: line \d+: fusion: expected each key once, found it on line \d+ too", said)


# ---- resources -------------------------------------------------------------------------------------

GUIDES = {"gpu=1", "cpus_per_task=4", "mem_mb=32000", "runtime=720", "slurm_partition=gpu"}


@pytest.mark.parametrize("profile", [(), ("--executor", "slurm", "-j", "4"), ("--workflow-profile", "profiles/slurm")])
def test_trainings_ask_for_what_the_guides_ask_for(sources: Any, parse: Any, profile: tuple[str, ...]) -> None:
    jobs = parse(sources.snakemake("-n", *profile, "--", SCORED))
    trainings = [job for job in jobs if job.startswith(("pretrain_expert", "train_fusion"))]
    assert len(trainings) == 5
    for job in trainings:
        assert set(jobs[job].split(", ")) >= GUIDES, job
    assert "gpu" not in jobs["prepare_images"]


def workflow_text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")])


def rules() -> dict[str, str]:
    """The text of every rule, by name."""
    parts = re.split(r"^(?:use rule \w+ as|rule) (\w+)(?: with)?:", workflow_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def local_rules() -> set[str]:
    """The rules that are never submitted."""
    return {name for name, text in rules().items() if "localrule: True" in text}


def test_a_rule_asks_for_training_resources_or_runs_where_snakemake_runs() -> None:
    submitted = {name for name, text in rules().items() if "**TRAINING" in text}
    assert local_rules() == set(rules()) - submitted
    assert set(profile_of("slurm")["set-resources"]) == submitted


def profile_of(name: str) -> Any:
    return yaml.safe_load((ROOT / "profiles" / name / "profile.v9+.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["slurm", "local-gpu"])
def test_a_profile_repeats_what_it_replaces(name: str) -> None:
    """Snakemake loads one workflow profile: what profiles/default says must stand in the others too."""
    default, profile = profile_of("default"), profile_of(name)
    for key in set(default) - {"cores", "retries"}:
        assert profile[key] == default[key], key
    assert profile["retries"] >= default["retries"]
    assert ("cores" in profile) == ("executor" not in profile)


LOCAL_GPU = "profiles/local-gpu"


@pytest.mark.parametrize(
    ("options", "gpus"),
    [
        (("--profile", LOCAL_GPU), 1),
        (("--workflow-profile", LOCAL_GPU), 1),
        (("--workflow-profile", LOCAL_GPU, "--resources", "gpu=4"), 4),
    ],
)
def test_the_profile_for_one_machine_says_how_many_gpus_there_are(
    copied: Any, options: tuple[str, ...], gpus: int
) -> None:
    touched = copied.snakemake(*options, "--touch", "--forceall")
    assert touched.returncode == 0, touched.stdout + touched.stderr
    written = rf'(?:{gpus}|Resource\("gpu", {gpus}\))'  # by the version of Snakemake
    assert re.search(rf"^Provided resources: gpu={written}$", touched.stderr, flags=re.MULTILINE), touched.stderr


# ---- graph and recovery ----------------------------------------------------------------------------


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


@pytest.mark.slow
def test_after_a_kill_only_the_lock_is_in_the_way(copied: Any) -> None:
    """SIGKILL of Snakemake and its steps in the middle of a training: --unlock, then the same command works."""
    config = copied.config()
    config["pretraining"]["epochs"] = 100_000
    copied.write_config(config)
    component = copied.root / "results/experts/resnet/seed_0/expert_0_best.safetensors"
    log = copied.root / "results/logs/pretrain_expert/resnet_seed_0_expert_0.log"
    target = str(component.relative_to(copied.root))
    before = log.read_text(encoding="utf-8")
    with copied.start("snakemake", target) as process:
        try:
            deadline = time.monotonic() + 60
            while not (log.exists() and "epoch" in (text := log.read_text(encoding="utf-8")) and text != before):
                assert time.monotonic() < deadline, "the training did not start"
                assert process.poll() is None, process.communicate()
                time.sleep(0.1)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    config["pretraining"]["epochs"] = 2
    copied.write_config(config)
    locked = copied.snakemake(target)
    assert locked.returncode != 0
    assert "unlock" in locked.stdout + locked.stderr
    assert copied.snakemake("--unlock").returncode == 0
    done = copied.snakemake(target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert component.is_file()
