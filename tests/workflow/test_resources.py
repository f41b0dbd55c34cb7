"""What jobs ask of a machine or a cluster, and what the profiles say of it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from local_rules import local_rules

ROOT = Path(__file__).resolve().parents[2]
SCORED = "results/metrics/cells/resnet/concatenation/lambda_1.0/seed_0/metrics.csv"
GUIDES = {"gpu=1", "cpus_per_task=4", "mem_mb=32000", "runtime=720", "slurm_partition=gpu"}


@pytest.mark.parametrize("profile", [(), ("--executor", "slurm", "-j", "4"), ("--workflow-profile", "profiles/slurm")])
def test_trainings_ask_for_what_the_guides_ask_for(sources: Any, parse: Any, profile: tuple[str, ...]) -> None:
    jobs = parse(sources.snakemake("-n", *profile, "--", SCORED))
    trainings = [job for job in jobs if job.startswith(("pretrain_expert", "train_fusion"))]
    assert len(trainings) == 5
    for job in trainings:
        assert set(jobs[job].split(", ")) >= GUIDES, job
    assert "gpu" not in jobs["prepare_images"]


def test_a_rule_asks_for_training_resources_or_runs_where_snakemake_runs(graph: Any) -> None:
    """A profile may give each submitted rule resources of its own, and no other."""
    submitted = {job.rule for job in graph if "gpu=" in job.resources}
    assert submitted == {job.rule for job in graph} - local_rules()
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
