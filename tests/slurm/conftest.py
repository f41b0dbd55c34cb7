"""The workflow on a real Slurm: a cluster for the session, clean copies of the sources, what came out, what Slurm says.

Without the programs the tests skip with the reason; with CERTIFUSE_REQUIRE_TOOLS=1, as in CI, they fail.
"""

import csv
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
SOURCES = ("Snakefile", "rules", "workflow", "lib", "config", "envs", "profiles")
POLLING = ("--slurm-init-seconds-before-status-checks", "2")
FIGURE = "results/figures/lambda_ablation.png"
PROGRAMS = Path(sys.executable).parent
WRAPPER = """\
#!/bin/sh
echo "$1 ${{SLURM_JOB_ID:-none}}" >> {steps}
exec {python} "$@"
"""
STUDY_LIMIT_S = 900.0
CLIENT_LIMIT_S = 20.0
TIME_COLUMNS = {"seconds", "images_per_second"}
RECORD = "JobIDRaw,State,Partition,Account,AllocTRES,TimelimitRaw,NodeList,Constraints,Start,End,Comment"
FINAL = ("COMPLETED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "FAILED", "REQUEUED")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slurm: needs Slurm, MUNGE, MariaDB and root; CI has them all")


# ---- the cluster -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A task that ran in a job: the batch script, or a step of it. `gpus` is what CUDA_VISIBLE_DEVICES said."""

    job: str
    step: str
    node: str
    gpus: str


@dataclass(frozen=True)
class Cluster:
    """The running cluster, seen through Slurm's own clients."""

    root: Path

    def client(self, *command: str) -> str:
        """What a client of Slurm says; some hang where a daemon is busy, hence the limit."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_LIMIT_S)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def control(self, *arguments: str) -> None:
        """Do something to the cluster itself, see `cluster.py`."""
        done = subprocess.run([sys.executable, HERE / "cluster.py", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def records(self, run: str) -> list[dict[str, str]]:
        """The accounting of every attempt of every job of a run of Snakemake, once all have ended, oldest first."""
        command = ("sacct", "-X", "-D", "--parsable2", f"--name={run}", f"--format={RECORD}")
        deadline = time.monotonic() + CLIENT_LIMIT_S
        while True:
            rows = list(csv.DictReader(io.StringIO(self.client(*command)), delimiter="|"))
            if rows and all(row["State"].startswith(FINAL) for row in rows):
                return sorted(rows, key=lambda row: row["Start"])
            assert time.monotonic() < deadline, rows
            time.sleep(0.5)

    def tasks(self) -> list[Task]:
        return [Task(*line.split()) for line in (self.root / "tasks").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    asked = subprocess.run([sys.executable, HERE / "cluster.py", "obstacle"], capture_output=True, text=True)
    if obstacle := asked.stdout.strip():
        (pytest.fail if os.environ.get("CERTIFUSE_REQUIRE_TOOLS") else pytest.skip)(f"no Slurm here: {obstacle}")
    root = Path(tempfile.mkdtemp(prefix="certifuse-slurm-"))  # short, because it holds sockets
    made = Cluster(root)
    try:
        made.control("up", str(root))
        yield made
    finally:
        made.control("down", str(root))
        shutil.rmtree(root)


# ---- the study -------------------------------------------------------------------------------------


class Run:
    """A clean copy of the sources, in which Snakemake makes the figure of the study, beside other runs."""

    process: subprocess.Popen[bytes]

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in SOURCES:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, root / name)
        shutil.copy2(HERE / "study.yaml", root / "config" / "config.yaml")
        wrapper = root / "bin" / "python"
        wrapper.parent.mkdir()
        wrapper.write_text(WRAPPER.format(steps=root / "steps", python=sys.executable), encoding="utf-8")
        wrapper.chmod(0o755)

    def start(self, *arguments: str) -> None:
        """Start Snakemake, with a state stored after every epoch.

        The steps' `python` is a wrapper that notes each step and its job, if any: as docs/slurm.md puts a container
        around them.
        """
        environment = os.environ | {
            "PATH": os.pathsep.join(map(str, (self.root / "bin", PROGRAMS, os.environ["PATH"])))
        }
        environment |= {"CERTIFUSE_SAVE_INTERVAL_S": "0"}
        with (self.root / "said").open("wb") as said:
            command = ["snakemake", FIGURE, *arguments]
            self.process = subprocess.Popen(command, cwd=self.root, env=environment, stdout=said, stderr=said)

    def slurm_name(self) -> str:
        """Wait for Snakemake to succeed; the name that its jobs have in Slurm."""
        return re.findall("^SLURM run ID: (.*)$", self.finish(), flags=re.MULTILINE)[0]

    def finish(self) -> str:
        """Wait for Snakemake to succeed; what it said."""
        assert self.process.wait(STUDY_LIMIT_S) == 0, self.said()
        return self.said()

    def steps(self) -> list[tuple[str, str]]:
        """Each step that ran, by its script, with the job that it ran in, or "none"."""
        lines = (self.root / "steps").read_text(encoding="utf-8").splitlines()
        return [(Path(script).stem, job) for script, job in map(str.split, lines)]

    def said(self) -> str:
        """What Snakemake said, for the message of a failed test."""
        return (self.root / "said").read_text(encoding="utf-8")

    def digests(self) -> dict[str, str]:
        """Every component, prediction, table and figure of the finished study, but for columns and files of times."""
        self.finish()
        results = self.root / "results"
        found = {path for suffix in ("safetensors", "csv", "png", "tex") for path in results.rglob(f"*.{suffix}")}
        timed = {results / "metrics" / "costs.csv"}
        return {str(path.relative_to(results)): _digest(path) for path in sorted(found - timed)}


def _digest(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(data.decode()))
        data = repr([{key: row[key] for key in row if key not in TIME_COLUMNS} for row in rows]).encode()
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="session")
def new_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Run]]:
    runs: list[Run] = []

    def make(name: str) -> Run:
        runs.append(Run(tmp_path_factory.mktemp(name)))
        return runs[-1]

    yield make
    for run in runs:
        run.process.kill()
        run.process.wait()


@pytest.fixture(scope="session")
def local(new_run: Callable[[str], Run]) -> Run:
    """The study where Snakemake does everything by itself, on its way."""
    run = new_run("local")
    run.start()
    return run


@pytest.fixture(scope="session")
def on_slurm(cluster: Cluster, new_run: Callable[[str], Run]) -> Run:
    """The study by the command of the README, on its way."""
    run = new_run("on_slurm")
    run.start("--executor", "slurm", "-j", "4", *POLLING)
    return run
