"""Jobs that are cancelled, run out of time, lose their node or are requeued: the study ends with the same bits.

Each training is stopped (SIGSTOP) once some epochs are stored, so that what hits it hits it at a known epoch, which its
manifest and its log must show: those epochs were not repeated. The profile is the shipped one, adapted as docs/slurm.md
says.
"""

import json
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certifuse.base.errors import UserError
from certifuse.base.tensors import read_facts
from certifuse.training.loop.resume import KIND

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

ADAPTED = {
    "slurm_partition: gpu": "slurm_partition: long",
    "# slurm_account: your_account": "slurm_account: lab",
    "# gpu_model: a100": "gpu_model: a100",
    "# constraint: nvlink": "constraint: nvlink",
    "runtime: 720": "runtime: 90",
}
CANCELLED, NODE_DOWN = (f"pretrain_expert/resnet_seed_0_expert_{index}" for index in range(2))
OUT_OF_TIME, REQUEUED = (f"train_fusion/resnet_concatenation_lambda_{lam}_seed_0" for lam in ("0.5", "1.0"))
MANIFESTS = {
    CANCELLED: "experts/resnet/seed_0/expert_0_manifest.json",
    NODE_DOWN: "experts/resnet/seed_0/expert_1_manifest.json",
    OUT_OF_TIME: "fusion_checkpoints/resnet_fusions_lambda_0.5/concatenation/seed_0/manifest.json",
    REQUEUED: "fusion_checkpoints/resnet_fusions_lambda_1.0/concatenation/seed_0/manifest.json",
}
ENDS = {CANCELLED: "CANCELLED", NODE_DOWN: "NODE_FAIL", OUT_OF_TIME: "TIMEOUT", REQUEUED: "REQUEUED"}
STORED_EPOCHS = 3
START_LIMIT_S = 240.0


@dataclass(frozen=True)
class Held:
    """A training that was stopped: its job, its node, and the epochs that it had stored."""

    job: str
    node: str
    epochs: int


@dataclass(frozen=True)
class Survived:
    """The finished study: its run, what was held, and what the cluster recorded."""

    run: Any
    held: dict[str, Held]
    records: list[dict[str, str]]


def stored(directory: Path) -> int:
    """Epochs in the newest state of a run."""
    epochs = [0]
    for path in directory.glob("*.safetensors"):
        try:
            epochs.append(len(json.loads(read_facts(path, KIND)["progress"])["rows"]))
        except UserError:  # it was replaced in between
            continue
    return max(epochs)


def hold(run: Any, *trainings: str) -> dict[str, Held]:
    """Stop each training as soon as it has stored a few epochs."""
    held: dict[str, Held] = {}
    deadline = time.monotonic() + START_LIMIT_S
    while len(held) < len(trainings):
        in_time = run.process.poll() is None and time.monotonic() < deadline
        assert in_time, f"expected stored epochs of {set(trainings) - set(held)}\n{run.said()}"
        for training in set(trainings) - set(held):
            directory = run.root / "results" / ".resume" / training
            if stored(directory) >= STORED_EPOCHS:
                process = json.loads((directory / "running.json").read_text())["pid"]
                os.kill(process, signal.SIGSTOP)
                while Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
                    time.sleep(0.01)
                variables = Path(f"/proc/{process}/environ").read_text().split("\0")
                environment = dict(pair.split("=", 1) for pair in variables if "=" in pair)
                job, node = environment["SLURM_JOB_ID"], environment["SLURMD_NODENAME"]
                held[training] = Held(job, node, stored(directory))
        time.sleep(0.02)
    return held


@pytest.fixture(scope="module")
def survived(cluster: Any, new_run: Any, local: Any, on_slurm: Any) -> Any:
    """The disturbed study, while the other two go their way, since most of it is waiting for Slurm."""
    run = new_run("disturbed")
    profile = run.root / "profiles" / "slurm" / "profile.v9+.yaml"
    text = profile.read_text(encoding="utf-8")
    for shipped, adapted in ADAPTED.items():
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, adapted)
    profile.write_text(text, encoding="utf-8")

    run.start("--workflow-profile", "profiles/slurm", "-j", "4", "--slurm-init-seconds-before-status-checks", "2")
    held = hold(run, CANCELLED, NODE_DOWN)
    assert held[CANCELLED].node != held[NODE_DOWN].node
    cluster.client("scancel", held[CANCELLED].job)
    cluster.control("kill", str(cluster.root), held[NODE_DOWN].node)
    held |= hold(run, OUT_OF_TIME, REQUEUED)
    cluster.client("scontrol", "requeue", held[REQUEUED].job)
    cluster.client("scontrol", "update", f"JobId={held[OUT_OF_TIME].job}", "EndTime=now+1")
    return Survived(run, held, cluster.records(run.slurm_name()))


def test_every_result_is_that_of_an_undisturbed_local_run_to_the_bit(survived: Survived, local: Any) -> None:
    assert survived.run.digests() == local.digests()


@pytest.mark.parametrize("training", MANIFESTS)
def test_stored_epochs_were_not_repeated(survived: Survived, training: str) -> None:
    results = survived.run.root / "results"
    manifest = json.loads((results / MANIFESTS[training]).read_text())
    epochs = survived.held[training].epochs
    assert epochs >= STORED_EPOCHS
    assert manifest["resumed_after_epochs"] == [epochs]
    log = (results / "logs" / f"{training}.log").read_text()
    assert f"resumed after epoch {epochs}\n" in log
    trained = [int(number) for number in re.findall(r"\] epoch (\d+)/", log)]
    assert trained == list(range(epochs + 1, manifest["epochs_run"] + 1))


@pytest.mark.parametrize("training", ENDS)
def test_slurm_saw_each_disturbance_and_then_one_whole_job(survived: Survived, training: str) -> None:
    first = next(record for record in survived.records if record["JobIDRaw"] == survived.held[training].job)
    attempts = [record["State"] for record in survived.records if record["Comment"] == first["Comment"]]
    assert [state.split()[0] for state in attempts] == [ENDS[training], "COMPLETED"]


def test_every_job_got_what_the_adapted_profile_asks_for(survived: Survived) -> None:
    runtimes = {"evaluate": "120", "pretrain": "90", "train": "90"}
    for record in survived.records:
        allocated = dict(pair.split("=") for pair in record["AllocTRES"].split(","))
        assert (record["Partition"], record["Account"], record["Constraints"]) == ("long", "lab", "nvlink")
        assert (allocated["gres/gpu:a100"], allocated["cpu"], allocated["mem"]) == ("1", "4", "32000M")
        if record["State"] != "TIMEOUT":  # whose limit was brought forward
            assert record["TimelimitRaw"] == runtimes[record["Comment"].removeprefix("rule_").split("_")[0]]
