"""Versions, commit and machine, for manifests."""

import importlib.metadata
import logging
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from certifuse.base.digests import digest_bytes
from certifuse.base.fingerprint import LIBRARY

LOGGER = logging.getLogger(__name__)
GIT_TIMEOUT_S = 30
RECORDED_PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "pandas",
    "safetensors",
    "scikit-learn",
    "scipy",
    "constriction",
    "matplotlib",
    "seaborn",
    "datasets",
    "tiktoken",
    "snakemake",
)


CPU_FACTS = ("model name", "cpu family", "model")
"""Lines of Linux's /proc/cpuinfo. Virtual machines hide the name, and not the numbers."""


def package_versions() -> dict[str, str | None]:
    """Installed versions of the packages that can change a number or a figure; `null` for one that is not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions


class _GitError(Exception):
    """Git gave no answer; the text says why."""


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(LIBRARY), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            env=os.environ | {"LC_ALL": "C"},
        )
    except OSError as error:
        raise _GitError(f"git: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise _GitError(f"git took more than {GIT_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise _GitError(next(iter(done.stderr.splitlines()), f"git: exit status {done.returncode}"))
    return done.stdout


def git_state() -> dict[str, Any]:
    """Commit, whether tracked files differ from it, and the digest of that difference; `null` outside git.

    A package that is installed inside the repository of another project is outside git, too. Where there is a
    repository that git would not tell of (one of another owner, say), `problem` is the reason, and is logged.
    """
    state: dict[str, Any] = {"commit": None, "dirty": None, "diff_sha256": None}
    try:
        if not _git("ls-files"):
            return state
        state["commit"] = _git("rev-parse", "HEAD").strip()
        difference = _git("diff", "HEAD")
    except _GitError as error:
        if not any((directory / ".git").exists() for directory in (LIBRARY, *LIBRARY.parents)):
            return state
        LOGGER.warning("commit and changes are not recorded: %s", error)
        return state | {"problem": str(error)}
    return state | {"dirty": bool(difference), "diff_sha256": digest_bytes(difference.encode()) if difference else None}


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """The CPU's model, since it chooses the kernels and thereby the last bits; `null` where the system is silent."""
    if not cpuinfo.is_file():
        return platform.processor() or None
    first = cpuinfo.read_text(encoding="utf-8").partition("\n\n")[0]
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    return ", ".join(f"{name} {facts[name]}" for name in CPU_FACTS if name in facts) or None


def environment_record() -> dict[str, Any]:
    """Versions, git state and kind of machine, for a manifest."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git": git_state(),
        "machine": platform.machine(),
        "packages": package_versions(),
        "platform": platform.platform(),
        "processor": processor(),
    }
