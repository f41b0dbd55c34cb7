"""A fresh checkout of the same commit, with the results of another: nothing reruns, whatever the times of the files."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

YEAR_S = 365 * 24 * 3600


@pytest.fixture
def clone(finished: Any, tmp_path: Path) -> Any:
    """A clone of the repository of the finished study; the results and Snakemake's records are copies."""
    assert finished.run("git", "clone", "--quiet", ".", str(tmp_path / "clone")).returncode == 0
    for name in ("results", ".snakemake"):
        shutil.copytree(finished.root / name, tmp_path / "clone" / name)
    return type(finished)(tmp_path / "clone")


def set_times(results: Path, when: Callable[[float], float]) -> float:
    """Give every result another time; the newest of them."""
    paths = list(results.rglob("*"))
    for path in paths:
        moment = when(path.stat().st_mtime)
        os.utime(path, (moment, moment))
    return max(path.stat().st_mtime for path in paths)


TIMES: dict[str, Callable[[float], float]] = {
    "as they were": lambda moment: moment,
    "a year older": lambda moment: moment - YEAR_S,
    "a year newer": lambda moment: moment + YEAR_S,
    "all the same": lambda moment: 0.0,
}


@pytest.mark.parametrize("name", TIMES)
def test_nothing_reruns(clone: Any, name: str) -> None:
    newest = set_times(clone.root / "results", TIMES[name])
    oldest_source = min(path.stat().st_mtime for path in (clone.root / "lib").rglob("*.py"))
    assert (newest > oldest_source) == (name == "a year newer")
    assert clone.planned() == set()


def test_a_change_in_the_clone_reruns(clone: Any) -> None:
    """The negative control."""
    assert clone.planned("--config", 'fusion={"fusion_lr": 0.003}') != set()
