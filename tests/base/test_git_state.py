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
