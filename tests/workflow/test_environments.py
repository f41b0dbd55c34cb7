"""The pins of the environments and of the lock agree with each other and with the dependencies of the project."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


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
