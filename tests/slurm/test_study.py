"""`snakemake --executor slurm -j 4` from a clean copy to the figure, seen from the cluster's own records."""

import itertools
import json
from collections import Counter
from typing import Any

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

SUBMITTED = {"pretrain_expert": 2, "train_fusion": 2, "evaluate_fusion": 2, "evaluate_baselines": 1}
LOCAL = {"prepare_images": 1, "split_images": 1, "gather": 1, "compare_cells": 1, "draw_figure": 1}


@pytest.fixture(scope="module")
def records(cluster: Any, on_slurm: Any) -> Any:
    """What the cluster recorded of the finished study, one row for each attempt of a job."""
    return cluster.records(on_slurm.slurm_name())


def test_every_result_is_that_of_a_local_run_to_the_bit(on_slurm: Any, local: Any) -> None:
    digests = local.digests()
    assert on_slurm.digests() == digests
    assert "figures/lambda_ablation.png" in digests
    assert sum(name.startswith("fusion_checkpoints/") for name in digests) >= 2 * 5


def test_nothing_was_taken_up_where_nothing_was_cut_off(on_slurm: Any) -> None:
    manifests = [json.loads(path.read_text()) for path in on_slurm.root.glob("results/**/*manifest.json")]
    resumed = [manifest["resumed_after_epochs"] for manifest in manifests if "resumed_after_epochs" in manifest]
    assert resumed == [[]] * 4


def test_what_needs_a_gpu_was_submitted_once_and_the_rest_ran_here(records: Any, on_slurm: Any) -> None:
    rules = {record["JobIDRaw"]: record["Comment"].removeprefix("rule_").split("_wildcards_")[0] for record in records}
    assert Counter(rules.values()) == SUBMITTED
    assert {record["State"] for record in records} == {"COMPLETED"}
    steps = on_slurm.steps()
    assert {job: rule for rule, job in steps if job != "none"} == rules
    assert Counter(rule for rule, job in steps if job == "none") == LOCAL


def test_each_job_got_what_the_guides_ask_for(records: Any) -> None:
    for record in records:
        allocated = dict(pair.split("=") for pair in record["AllocTRES"].split(","))
        assert (record["Partition"], record["TimelimitRaw"]) == ("gpu", "720")
        assert (allocated["gres/gpu"], allocated["cpu"], allocated["mem"]) == ("1", "4", "32000M")
        assert allocated["node"] == "1"


def test_each_job_saw_one_gpu_and_its_own(records: Any, cluster: Any) -> None:
    """By the environment of its tasks; jobs that ran at once on one node had different ones, and there were some."""
    tasks = cluster.tasks()
    gpus = {}
    for record in records:
        own = [task for task in tasks if task.job == record["JobIDRaw"]]
        assert {task.step for task in own} == {"batch", "0"}
        ((node, gpus[record["JobIDRaw"]]),) = {(task.node, task.gpus) for task in own}
        assert node == record["NodeList"]
        assert gpus[record["JobIDRaw"]] in {"0", "1"}
    pairs = [pair for pair in itertools.combinations(records, 2) if len({job["NodeList"] for job in pair}) == 1]
    together = [(a, b) for a, b in pairs if max(a["Start"], b["Start"]) < min(a["End"], b["End"])]
    assert together
    assert all(gpus[a["JobIDRaw"]] != gpus[b["JobIDRaw"]] for a, b in together)
