"""The workflow as a module of another one: from a checkout, from a repository as the workflow catalogue does it."""

import copy
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import certifuse

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
TAG, OTHER_TAG = f"v{certifuse.__version__}", "v99.0.0"
AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
STUDY: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": "digits"},
    "splits": {"experts": 2, "shared_fraction": 0.4, "unique_fraction": 0.3, "fusion_fraction": 0.4},
    "architectures": {"resnet": {"width": 4, "blocks": [1]}},
    "pretraining": {"epochs": 1, "augmentation": "none"},
    "fusion": {"epochs": 1, "augmentation": "none"},
    "grid": [{"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["1.0"], "seeds": [0]}],
    "baselines": {"single_model_seeds": [], "finetuned_average": False},
    "statistics": {"bootstrap_samples": 20},
    "execution": {"threads": 1, "precision": "fp32", "compile": "off"},
}
SUMMARY = "results/metrics/fusion_performance_summary.csv"
COMPONENTS = "fusion_checkpoints/resnet_fusions_lambda_1.0"
ONE = """
configfile: "config.yaml"

module certifuse:
    snakefile: SNAKEFILE
    config: CONFIG
    prefix: PREFIX

use rule * from certifuse
"""
TWO = """
configfile: "config.yaml"

module one:
    snakefile: SNAKEFILE
    config: config["one"]
    prefix: "first"

use rule * from one as one_*

module two:
    snakefile: SNAKEFILE
    config: config["two"]
    prefix: "second/place"

use rule * from two as two_*

rule environment:
    output:
        "environment.txt",
    shell:
        "env > {output}"

rule both:
    default_target: True
    input:
        rules.one_all.input,
        rules.two_all.input,
        rules.environment.output,
"""


def changed(**changes: Any) -> dict[str, Any]:
    """The study with other keys in some of its sections."""
    study = copy.deepcopy(STUDY)
    for name, value in changes.items():
        study[name] = {**study[name], **value} if isinstance(value, dict) and name in study else value
    return study


class Outer:
    """A directory with an outer workflow. `environment` is a virtual environment of its own, where it has one."""

    def __init__(self, root: Path, repository: Path, caches: Path) -> None:
        self.root = root
        self.caches = caches
        self.environment = Path(sys.executable).parents[1]
        self.snakefile = f'"{repository / "Snakefile"}"'

    def write(
        self, text: str, config: Any = STUDY, prefix: str | None = None, of_module: str | None = "config"
    ) -> None:
        """Write Snakefile and config.yaml; without `prefix` or `of_module`, no such line for the module."""
        for key, value in {"PREFIX": prefix and f'"{prefix}"', "CONFIG": of_module}.items():
            text = re.sub(rf"^.*: {key}\n", "", text, flags=re.MULTILINE) if value is None else text.replace(key, value)
        (self.root / "Snakefile").write_text(text.replace("SNAKEFILE", self.snakefile), encoding="utf-8")
        (self.root / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        scripts = self.environment / "bin"
        variables |= {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "XDG_CACHE_HOME": str(self.caches)}
        command = [str(scripts / "python"), "-m", "snakemake", "--cores", "2", *arguments]
        return subprocess.run(command, cwd=self.root, env=variables, capture_output=True, text=True, timeout=300)

    def run(self, *arguments: str) -> str:
        """Run it to the end; what it printed."""
        done = self.snakemake(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def refused(self, *arguments: str) -> str:
        """The line that a dry-run ends with, which must not be part of a traceback."""
        done = self.snakemake("-n", "--quiet", "all", *arguments)
        said = done.stdout + done.stderr
        assert done.returncode == 1, said
        assert "Traceback" not in said
        assert "  File " not in said
        return said.splitlines()[-1]

    def files(self) -> list[str]:
        """Every file but those of Snakemake and the two that were written."""
        found = [path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file()]
        own = {".snakemake", "Snakefile", "config.yaml"}
        return sorted(path.as_posix() for path in found if path.parts[0] not in own)


def git(where: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *AUTHOR, *arguments], cwd=where, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the sources; at one tag of another version."""
    root = tmp_path_factory.mktemp("repository")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("rules", "workflow", "lib", "config", "envs"):
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    for name in ("Snakefile", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, root / name)
    git(root, "init", "-q")
    version = root / "lib" / "certifuse" / "__init__.py"
    text = version.read_text(encoding="utf-8")
    for tag, content in ((OTHER_TAG, text.replace(certifuse.__version__, OTHER_TAG[1:])), (TAG, text)):
        version.write_text(content, encoding="utf-8")
        git(root, "add", ".")
        git(root, "commit", "-q", "-m", tag)
        git(root, "tag", tag)
    return root


@pytest.fixture(scope="session")
def caches(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snakemake's caches with a bare clone of the repository, which it would otherwise fetch from GitHub."""
    root = tmp_path_factory.mktemp("caches")
    clone = root / "snakemake/snakemake/source-cache/snakemake-git-cache/github.com/owner/certifuse"
    clone.parent.mkdir(parents=True)
    git(root, "clone", "-q", "--bare", str(repository), str(clone))
    return root


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with all packages of this one but the library."""
    root = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root)], check=True)
    (packages,) = (root / "lib").glob("python*/site-packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("certifuse", "__editable__")) and entry.suffix != ".pth":
            (packages / entry.name).symlink_to(entry)
    return root


@pytest.fixture(scope="session")
def installed(repository: Path, environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Likewise, with the package as pip installs it from the repository."""
    root = tmp_path_factory.mktemp("installed")
    shutil.copytree(environment, root, symlinks=True, dirs_exist_ok=True)
    tree = tmp_path_factory.mktemp("tree")
    shutil.copytree(repository, tree, dirs_exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--python", str(root / "bin" / "python"), "install", "--quiet"]
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    subprocess.run([*pip, *options, str(tree)], check=True)
    return root


@pytest.fixture
def outer(tmp_path: Path, repository: Path, caches: Path) -> Outer:
    """An outer workflow that names a checkout."""
    return Outer(tmp_path, repository, caches)


@pytest.fixture
def fetched(outer: Outer, installed: Path) -> Callable[..., Outer]:
    """An outer workflow that names a file of the repository by a tag or a commit."""

    def make(path: str = "workflow/Snakefile", **revision: str) -> Outer:
        ((kind, name),) = (revision or {"tag": TAG}).items()
        outer.snakefile = f'github("owner/certifuse", path="{path}", {kind}="{name}")'
        outer.environment = installed
        return outer

    return make


# ---- from a repository ---------------------------------------------------------------------------


def library(root: Path) -> set[str]:
    """Every file of the package below a directory."""
    files = (path.relative_to(root).as_posix() for path in (root / "certifuse").rglob("*") if path.is_file())
    return {file for file in files if not file.endswith(".pyc")}


def test_pip_installs_the_whole_library(repository: Path, installed: Path) -> None:
    (packages,) = (installed / "lib").glob("python*/site-packages")
    assert library(packages) == library(repository / "lib")


def test_a_study_runs_from_a_repository(fetched: Any, installed: Path, repository: Path) -> None:
    """The library is the installed package, which jobs find without its neighbours. From a checkout of the same sources
    nothing runs again."""
    outer = fetched()
    outer.write(ONE)
    outer.run(SUMMARY)
    assert (outer.root / SUMMARY).stat().st_size > 0
    (link,) = (outer.root / ".snakemake" / "certifuse").glob("*/certifuse")
    assert link.resolve().is_relative_to(installed)
    assert [path.name for path in link.parent.iterdir()] == ["certifuse"]
    assert "Nothing to be done" in outer.run("-n", SUMMARY)
    outer.snakefile = f'"{repository / "Snakefile"}"'
    outer.write(ONE)
    assert "Nothing to be done" in outer.run("-n", SUMMARY)


@pytest.mark.parametrize("path", ["Snakefile", "workflow/Snakefile"])
def test_everything_is_planned_from_a_commit(fetched: Any, repository: Path, path: str, count_jobs: Any) -> None:
    outer = fetched(path, commit=git(repository, "rev-parse", TAG))
    outer.write(ONE, prefix="there")
    planned = outer.snakemake("-n")
    jobs = count_jobs(planned)
    assert jobs.pop("all" if path == "Snakefile" else "everything") == 1
    assert jobs["train_fusion"] == jobs["gather"] == 1
    assert jobs["pretrain_expert"] == 2
    assert "there/results/tables/results.csv" in planned.stdout


def test_without_the_package_one_line_says_how_to_install_it(fetched: Any, environment: Path) -> None:
    outer = fetched()
    outer.environment = environment
    outer.write(ONE)
    assert outer.refused() == (
        f"certifuse: expected the package of version {TAG[1:]}, found none: "
        f'pip install "certifuse[workflow] @ git+https://github.com/owner/certifuse@{TAG}"'
    )


def test_with_another_version_too(fetched: Any) -> None:
    outer = fetched(tag=OTHER_TAG)
    outer.write(ONE)
    said = outer.refused()
    assert said.startswith(f"certifuse: expected the package of version {OTHER_TAG[1:]}, found {TAG[1:]} in ")
    assert said.endswith(f': pip install "certifuse[workflow] @ git+https://github.com/owner/certifuse@{OTHER_TAG}"')


def test_a_checkout_uses_its_own_library_or_says_so(outer: Outer, repository: Path) -> None:
    outer.write(f"import sys\nsys.path.insert(0, '{ROOT}/lib')\nimport certifuse\n{ONE}")
    assert outer.refused() == (
        f"certifuse: expected the library in {repository}/lib, found {TAG[1:]} in {ROOT}/lib/certifuse: "
        "use one copy in a workflow"
    )


# ---- from a checkout -----------------------------------------------------------------------------


def test_two_studies_share_nothing_and_leave_the_outer_workflow_alone(outer: Outer) -> None:
    """One reads images of the user's own, which a prefix does not move."""
    images = np.random.default_rng(0).integers(0, 256, (400, 8, 8), dtype=np.uint8)
    labels = np.arange(400) % 4
    arrays = {"train_images": images[:300], "train_labels": labels[:300]}
    np.savez(outer.root / "images.npz", **arrays, test_images=images[300:], test_labels=labels[300:])
    two = changed(results_dir="out") | {"data": {"source": "npz", "path": "images.npz"}}
    outer.write(TWO, {"one": STUDY, "two": two, "something": "else"})
    outer.run()
    places = {"environment.txt": set(), "images.npz": set(), "first/results": set(), "second/place/out": set()}
    for file in outer.files():
        (place,) = (place for place in places if file == place or file.startswith(f"{place}/"))
        places[place].add(file[len(place) + 1 :])
    assert places["first/results"] == places["second/place/out"]
    parts = {file.split("/")[0] for file in places["first/results"]}
    assert parts >= {"benchmarks", "csv_logs", "experts", "figures", "fusion_checkpoints", "logs", "metrics", "tables"}
    assert {path.name for path in (outer.root / "first/results").iterdir()} >= {".resume"}
    said = (outer.root / "environment.txt").read_text(encoding="utf-8")
    assert "PATH=" in said
    assert not re.search("PYTHONPATH|CUBLAS_WORKSPACE_CONFIG|CERTIFUSE_JOBS_PER_GPU", said)
    assert "Nothing to be done" in outer.run("-n")


def test_parsing_prints_nothing(outer: Outer) -> None:
    outer.write(TWO, {"one": STUDY, "two": changed(results_dir="out")})
    before, _, _ = outer.run("-n").partition("SNAKEMAKE\n")
    assert set(before.splitlines()) <= {"Assuming unrestricted shared filesystem usage.", ""}


def test_a_prefix_stands_once_before_every_path(outer: Outer) -> None:
    """In the plan of a study with certificates, language models and cells that continue from cells of another rule."""
    (outer.root / "documents.jsonl").touch()
    block = {"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["1.0"], "seeds": [0]}
    earlier = "there/results/fusion_checkpoints/{architecture}_fusions_lambda_{lambda}/concatenation/seed_{seed}"
    study = changed(
        grid=[block | {"fusions": ["concatenation", "multiplicative"]}],
        fusion={"per_fusion": {"multiplicative": {"initial_components": earlier}}},
        certificates={"levels": [3], "blocks": [block | {"dims": [4]}]},
        sublora={
            "corpus": {"source": "jsonl", "train": ["documents.jsonl"], "validation_fraction": 0.2},
            "grid": [{"budgets": [20], "modes": ["learned"], "seeds": [0]}],
        },
    )
    outer.write(ONE, study, prefix="there")
    planned = outer.run("-n", "-p")
    files = set(re.findall(r"[\w./-]+(?:\.csv|\.json|\.safetensors|\.log|\.tsv|\.png|\.bin|\.jsonl)\b", planned))
    assert len(files) > 50
    assert {file for file in files if not file.startswith("there/results/")} == {"documents.jsonl"}
    assert not {file for file in files if file.count("there/") > 1}
    assert set(re.findall(r"--(?:resume|telemetry|results)-dir (\S+?)/?(?:\.resume\S*|telemetry)? ", planned)) == {
        "there/results"
    }
    (job,) = re.findall(
        r"^rule train_fusion:\n    input: .*\n    output: .*/multiplicative/(?:.*\n)+?\n", planned, re.M
    )
    assert f"there/results/{COMPONENTS}/concatenation/seed_0/complete_fusion_best.safetensors" in job


def test_what_is_finished_is_looked_for_behind_the_prefix(outer: Outer) -> None:
    outer.write(ONE, changed(only_finished=True), prefix="there")
    scores = outer.root / "there/results/metrics/cells/resnet/concatenation/lambda_1.0/seed_0/metrics.csv"
    scores.parent.mkdir(parents=True)
    target = f"there/{SUMMARY}"
    assert "1 of 1 steps" in outer.run(target)
    assert "Nothing to be done" in outer.run("-n", target)
    scores.touch()
    assert "Params have changed" in outer.run("-n", target)


# ---- configuration -------------------------------------------------------------------------------


def settings(plan: str, rule: str) -> str:
    """The command of the first job of a rule in a plan."""
    return re.findall(rf"^Shell command: .*/{rule}\.py .*$", plan, flags=re.MULTILINE)[0]


@pytest.mark.parametrize(
    ("config", "of_module", "argument"),
    [
        (STUDY, "config", 'fusion={"epochs": 3}'),
        ({"digits": STUDY}, 'config["digits"]', 'digits={"fusion": {"epochs": 3}}'),
        ({"my": {"digits": STUDY}}, 'config["my"]["digits"]', 'my={"digits": {"fusion": {"epochs": 3}}}'),
    ],
)
def test_the_command_line_of_the_outer_workflow_counts(
    outer: Outer, config: Any, of_module: str, argument: str
) -> None:
    outer.write(ONE, config, of_module=of_module)
    assert '"epochs":3' in settings(outer.run("-n", "-p", "--config", argument, "--", SUMMARY), "train_fusion")


def test_without_a_configuration_it_is_the_default_study(outer: Outer, repository: Path, count_jobs: Any) -> None:
    """Whatever files and keys the outer workflow has."""
    (outer.root / "more.yaml").write_text("mine: 2\n", encoding="utf-8")
    plans = []
    for of_module in (None, "{}"):
        outer.write(ONE, {"mine": 1, "fusion": "mine too"}, of_module=of_module)
        plans.append(count_jobs(outer.snakemake("-n", "--configfile", "more.yaml", "--config", "yours=3")))
    expected = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--cores", "2"], cwd=repository, capture_output=True, text=True
    )
    assert plans == [count_jobs(expected)] * 2


@pytest.mark.parametrize(
    ("of_module", "line"),
    [
        ('{**config, "fusion": {"epoch": 3}}', "config: fusion.epoch: "),
        ("[1, 2]", "config: expected a mapping of settings, found list"),
        ('"text"', "config: expected a mapping of settings, found str"),
    ],
)
def test_a_mistake_is_one_line_with_the_name_of_the_module(outer: Outer, of_module: str, line: str) -> None:
    outer.write(ONE, of_module=of_module)
    assert outer.refused().startswith(f"module certifuse: {line}")


def test_a_key_that_stands_twice_in_a_file_of_the_outer_workflow(outer: Outer) -> None:
    outer.write(ONE)
    with (outer.root / "config.yaml").open("a", encoding="utf-8") as file:
        file.write("name: again\n")
    assert outer.refused().startswith("module certifuse: config.yaml: line ")
