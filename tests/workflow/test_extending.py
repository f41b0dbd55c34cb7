"""The examples of docs/extending.md, a fusion rule and an architecture: they train, and leave all in order."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from extending_examples import add_architecture, add_rule
from tree_changes import edited

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
RULE, ARCHITECTURE = "mean", "plain_convolutions"
ADDED: dict[str, tuple[Callable[[Any], None], dict[str, str], str]] = {
    "rule": (add_rule, {"fusion": RULE}, "lib/certifuse/models/images/fusion/mean.py"),
    "architecture": (
        add_architecture,
        {"architecture": ARCHITECTURE},
        "lib/certifuse/models/images/architectures/plain_convolutions.py",
    ),
}
TESTS = {
    "rule": ("tests/models/images/test_fusion.py", f"{RULE} and not by_value or names"),
    "architecture": ("tests/models/images/test_architectures.py", f"{ARCHITECTURE} and not by_value or names"),
}
"""The tests of every rule and of every architecture. A test by value wants a definition of its own."""


def train_in(copied: Any, block: dict[str, str]) -> tuple[Path, Any]:
    """Ask for one cell of a new kind; its manifest, and what Snakemake said."""
    cell = {"architecture": "resnet", "fusion": "concatenation"} | block
    config = copied.config()
    names = {f"{key}s": [value] for key, value in cell.items()}
    config["grid"] = [*config["grid"], names | {"lambdas": ["1.0"], "seeds": [0]}]
    copied.write_config(config)
    directory = f"results/fusion_checkpoints/{cell['architecture']}_fusions_lambda_1.0/{cell['fusion']}/seed_0"
    return copied.root / directory / "manifest.json", copied.snakemake(f"{directory}/manifest.json")


@pytest.mark.parametrize("kind", ADDED)
def test_it_trains_once_it_is_added_and_what_is_finished_stays(copied: Any, kind: str) -> None:
    add, block, _ = ADDED[kind]
    before = copied.config()
    _, refused = train_in(copied, block)
    assert refused.returncode != 0
    assert "expected one of" in refused.stdout + refused.stderr

    copied.write_config(before)
    add(copied)
    assert copied.planned() == set()
    manifest, done = train_in(copied, block)
    assert done.returncode == 0, done.stdout + done.stderr
    assert manifest.is_file()


@pytest.mark.parametrize("kind", ADDED)
def test_lint_reference_and_tests_hold(sources: Any, tmp_path: Path, kind: str) -> None:
    tree = sources.copy(tmp_path / "sources")
    shutil.copytree(ROOT / "tests", tree.root / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    add, block, module = ADDED[kind]
    add(tree)

    def run(*arguments: str) -> str:
        done = tree.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return str(done.stdout)

    run("ruff", "check", module, "lib/certifuse/study/settings")
    run("ruff", "format", "--check", module, "lib/certifuse/study/settings")
    run("snakemake", "--lint")
    (command,) = re.findall(r"^reference:.*\n\t(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    run("bash", "-c", command)
    (name,) = block.values()
    for file in ("README.md", "schema.json"):
        assert name in (tree.root / "config" / file).read_text(encoding="utf-8")
    tests, which = TESTS[kind]
    run(sys.executable, "-m", "pytest", "-q", "tests/study/test_reference.py")
    assert " passed" in run(sys.executable, "-m", "pytest", "-q", tests, "-k", which)


@pytest.mark.parametrize(
    ("file", "first", "entry"),
    [
        ("fusion.py", "GUIDE_DEFAULTS: dict[str, dict[str, Any]] = {", '"plain": {"epochs": 9},'),
        ("architectures.py", "ARCHITECTURE_SETTINGS: dict[str, type[Settings]] = {", '"plain": ResNetSettings,'),
    ],
)
def test_a_name_that_every_section_has_is_refused_in_a_line(
    sources: Any, tmp_path: Path, file: str, first: str, entry: str
) -> None:
    tree = sources.copy(tmp_path / "sources")
    edited(f"lib/certifuse/study/settings/{file}", first, f"{first}\n    {entry}")(tree)
    done = tree.snakemake("-n")
    assert done.returncode == 1
    assert (
        "expected names that are free, found 'plain', which is used by every settings model"
        in done.stdout + done.stderr
    )
