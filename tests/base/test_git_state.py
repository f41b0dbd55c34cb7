"""Which commit the library is of."""

import re
import subprocess
from pathlib import Path

import pytest

from certifuse.base import environment


@pytest.mark.parametrize("is_tracked", [True, False])
def test_the_commit_of_another_project_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_tracked: bool
) -> None:
    """A package in a virtual environment inside the repository of a project, which ignores it."""
    library = tmp_path / "environment" / "certifuse"
    library.mkdir(parents=True)
    (library / "__init__.py").touch()
    (tmp_path / ".gitignore").write_text("" if is_tracked else "environment/\n", encoding="utf-8")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    author = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    for arguments in (("init", "-q"), ("add", "."), (*author, "commit", "-q", "-m", "theirs")):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    monkeypatch.setattr(environment, "LIBRARY", library)
    state = environment.git_state()
    if is_tracked:
        assert re.fullmatch("[0-9a-f]{40}", state["commit"])
        assert state["dirty"] is False
    else:
        assert state == {"commit": None, "dirty": None, "diff_sha256": None}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in the place of the library, inside no repository yet."""
    monkeypatch.setattr(environment, "LIBRARY", tmp_path)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def git(directory: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "-C", str(directory), *identity, *arguments], check=True, capture_output=True)


def test_outside_git_there_is_no_state(repository: Path) -> None:
    assert environment.git_state() == {"commit": None, "dirty": None, "diff_sha256": None}


def test_the_commit_and_a_difference_from_it_are_recorded(repository: Path) -> None:
    (repository / "file").write_text("one\n")
    git(repository, "init")
    git(repository, "add", "file")
    git(repository, "commit", "-m", "first")
    clean = environment.git_state()
    assert re.fullmatch("[0-9a-f]{40}", clean["commit"])
    assert (clean["dirty"], clean["diff_sha256"]) == (False, None)
    (repository / "file").write_text("two\n")
    dirty = environment.git_state()
    assert (dirty["commit"], dirty["dirty"]) == (clean["commit"], True)
    assert re.fullmatch("[0-9a-f]{64}", dirty["diff_sha256"])


def test_without_git_there_is_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert environment.git_state()["commit"] is None


def committed(repository: Path) -> None:
    (repository / "file").write_text("one\n")
    git(repository, "init")
    git(repository, "add", "file")
    git(repository, "commit", "-m", "first")


def test_why_git_is_silent_about_a_checkout_is_logged_and_recorded(
    repository: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A shared checkout that belongs to somebody else, which git asks to be told of."""
    committed(repository)
    assert "problem" not in environment.git_state()
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    state = environment.git_state()
    assert (state["commit"], state["dirty"]) == (None, None)
    assert "dubious ownership" in state["problem"]
    assert state["problem"] in caplog.text


def test_a_checkout_on_a_machine_without_git_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(repository)
    monkeypatch.setenv("PATH", "")
    assert environment.git_state()["problem"] == "git: No such file or directory"
