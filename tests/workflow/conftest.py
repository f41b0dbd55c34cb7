"""Snakemake on copies of the sources: what it would do, and a small study that it has really run."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from job_graph import Job, graph_of
from table_studies import STUDIES, USER_FILES

from certifuse.cli.provenance.records import Records

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("Snakefile", "rules", "workflow", "lib", "config", "envs", "profiles", "pyproject.toml")
NOT_SOURCES = shutil.ignore_patterns("__pycache__", "*.egg-info")

MINI: dict[str, Any] = {
    "name": "mini",
    "data": {"source": "digits"},
    "splits": {"experts": 2, "shared_fraction": 0.4, "unique_fraction": 0.3, "fusion_fraction": 0.4},
    "architectures": {"resnet": {"width": 4, "blocks": [1]}},
    "pretraining": {"epochs": 1, "augmentation": "none"},
    "fusion": {"epochs": 1, "augmentation": "none", "save_every": 1},
    "grid": [{"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["0.5", "1.0"], "seeds": [0]}],
    "statistics": {"bootstrap_samples": 50},
    "execution": {"precision": "fp32", "compile": "off"},
}

# What makes every other rule run too.
MORE: dict[str, Any] = {
    "certificates": {
        "levels": [3],
        "training": {"epochs": 1, "quantised_epochs": 1},
        "blocks": [
            {"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["1.0"], "seeds": [0], "dims": [4]}
        ],
    },
    "sublora": {
        "corpus": {"source": "jsonl", "train": ["documents.jsonl"], "validation_fraction": 0.2},
        "model": {"layers": 1, "heads": 2, "width": 16, "context": 32},
        "grid": [{"budgets": [20], "modes": ["uniform", "learned"], "seeds": [0]}],
        "levels": [3],
        "ngrams": ["unigram"],
        "training": {
            "steps": 4,
            "batch_size": 4,
            "warmup_steps": 1,
            "validate_every": 2,
            "validation_documents": 4,
            "quantised_steps": 2,
        },
        "bounds": {"subsample": 20},
    },
}
JOB = re.compile(r"^(?:local)?rule (\w+):$")
WILDCARDS = re.compile(r"^ {4}wildcards: (.*)$")
RESOURCES = re.compile(r"^ {4}resources: (.*)$")


class Tree:
    """A copy of the sources, in which Snakemake runs, with `variables` in its environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.variables: dict[str, str] = {}

    @classmethod
    def of_sources(cls, root: Path, config: Mapping[str, Any] | None = None) -> "Tree":
        """A fresh copy of the sources; `config` becomes its config/config.yaml."""
        for name in SOURCES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=NOT_SOURCES)
            else:
                shutil.copy2(source, root / name)
        tree = cls(root)
        if config is not None:
            tree.write_config(config)
        return tree

    @property
    def results(self) -> Path:
        """The results directory."""
        return (self.root / "results").resolve()

    def files(self, directory: str = ".") -> list[str]:
        """Every file of the results, or of a directory of them, by its path from there."""
        found = sorted(path for path in (self.results / directory).rglob("*") if path.is_file())
        return [path.relative_to(self.results).as_posix() for path in found]

    def copy(self, root: Path) -> "Tree":
        """A copy of everything, results and Snakemake's records included."""
        shutil.copytree(self.root, root, ignore=shutil.ignore_patterns("log", "__pycache__"), dirs_exist_ok=True)
        return Tree(root)

    def write_config(self, config: Mapping[str, Any]) -> None:
        text = yaml.safe_dump(dict(config), sort_keys=False)
        (self.root / "config" / "config.yaml").write_text(text, encoding="utf-8")

    def config(self) -> Any:
        return yaml.safe_load((self.root / "config" / "config.yaml").read_text(encoding="utf-8"))

    def commit(self) -> None:
        """Make it a checkout of its own, without changes."""
        author = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
        for arguments in (("init", "-q"), ("add", "."), (*author, "commit", "-q", "-m", "The sources")):
            subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a program of the environment in the copy, in a process group of its own."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            arguments,
            cwd=self.root,
            env=os.environ | {"PATH": path, "PYTHONPATH": str(self.root / "lib")} | self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments) as process:
            stdout, stderr = process.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("snakemake", *arguments)

    @staticmethod
    def said(done: subprocess.CompletedProcess[str]) -> list[str]:
        """What a refused call prints, without what Snakemake says before it reads the workflow."""
        lines = (done.stdout + done.stderr).splitlines()
        before = "Using workflow specific profile|Config file .* is "
        return [line for line in lines if line and not re.match(before, line)]

    def planned(self, *arguments: str) -> set[str]:
        """The jobs that Snakemake would run, as rule and wildcards: "train_fusion resnet/concatenation/1.0/0"."""
        return set(jobs_in(self.snakemake("-n", *arguments)))


def jobs_in(dry_run: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The jobs of a dry-run with their resources, checked against Snakemake's own count."""
    assert dry_run.returncode == 0, dry_run.stdout + dry_run.stderr
    jobs: list[list[str]] = []
    for line in dry_run.stdout.splitlines():
        if found := JOB.match(line):
            jobs.append([found[1], ""])
        elif jobs and (found := WILDCARDS.match(line)):
            jobs[-1][0] += " " + "/".join(pair.split("=", 1)[1] for pair in sorted(found[1].split(", ")))
        elif jobs and (found := RESOURCES.match(line)):
            jobs[-1][1] = found[1]
    total = re.search(r"^total +(\d+)$", dry_run.stdout, flags=re.MULTILINE)
    assert len(jobs) == len(dict(jobs)) == int(total[1] if total else 0), dry_run.stdout
    assert jobs or "Nothing to be done" in dry_run.stdout, dry_run.stdout
    return dict(jobs)


def job_counts(dry_run: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Jobs per rule."""
    assert dry_run.returncode == 0, dry_run.stdout + dry_run.stderr
    table = dry_run.stdout.split("Job stats:", 1)[1].split("\ntotal", 1)[0]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)}


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy of the sources without results."""
    return Tree.of_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The small study, really run. Tests that change anything work on a copy."""
    tree = Tree.of_sources(tmp_path_factory.mktemp("finished"), MINI)
    tree.commit()
    done = tree.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return tree


@pytest.fixture(scope="session")
def whole(finished: Tree, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The small study with certificates and a language model: every rule has run, the later ones with other settings
    than those that were committed."""
    tree = finished.copy(tmp_path_factory.mktemp("whole"))
    texts = [f"Document {number}: {' '.join(str(number * k % 97) for k in range(1, 20))}" for number in range(120)]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (tree.root / "documents.jsonl").write_text(lines, encoding="utf-8")
    tree.write_config(MINI | MORE)
    done = tree.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return tree


@pytest.fixture(scope="session")
def records(whole: Tree) -> Records:
    """All that is recorded of it."""
    return Records(whole.results)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy of the sources with the studies of the table, finished as far as Snakemake's records go."""
    tree = Tree.of_sources(tmp_path_factory.mktemp("recorded"))
    for name in USER_FILES:
        (tree.root / name).parent.mkdir(parents=True, exist_ok=True)
        (tree.root / name).touch()
    for name, study in STUDIES.items():
        file = f"{name}.yaml"
        (tree.root / file).write_text(yaml.safe_dump(study), encoding="utf-8")
        dry_run = tree.snakemake("-n", "--configfile", file)
        for output in re.findall(r"^ {4}output: (.*)$", dry_run.stdout, flags=re.MULTILINE):
            for path in output.split(", "):
                (tree.root / path).parent.mkdir(parents=True, exist_ok=True)
                (tree.root / path).touch()
        done = tree.snakemake("--touch", "--forceall", "--configfile", file)
        assert done.returncode == 0, done.stdout + done.stderr
    return tree


@pytest.fixture(scope="session")
def graph(recorded: Tree) -> list[Job]:
    """Every job of the embedded study of the table, in which every rule is."""
    return graph_of(recorded.snakemake("-n", "-p", "--forceall", "--configfile", "embedded.yaml").stdout)


@pytest.fixture
def copied(finished: Tree, tmp_path: Path) -> Tree:
    """A copy of the finished small study, to change, where a path is not quoted at its peril."""
    return finished.copy(tmp_path / "it's a copy")


@pytest.fixture(scope="session")
def in_parallel() -> Any:
    """Two at a time: most of a dry-run is the start of Snakemake."""
    with ThreadPoolExecutor(2) as pool:

        def submit(function: Callable[..., Any], arguments: Mapping[str, tuple[Any, ...]]) -> dict[str, Future[Any]]:
            return {key: pool.submit(function, *values) for key, values in arguments.items()}

        yield submit


@pytest.fixture(scope="session")
def parse() -> Callable[[subprocess.CompletedProcess[str]], dict[str, str]]:
    """`jobs_in`, for tests that start Snakemake themselves."""
    return jobs_in


@pytest.fixture(scope="session")
def count_jobs() -> Callable[[subprocess.CompletedProcess[str]], dict[str, int]]:
    """`job_counts`, for the same."""
    return job_counts
