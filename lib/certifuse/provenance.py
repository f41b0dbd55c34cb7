"""Canonical JSON, digests, source fingerprints, atomic files and manifests. Imports neither torch nor numpy."""

import ast
import contextlib
import fcntl
import glob
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from certifuse.disk import writing
from certifuse.errors import UserError

LIBRARY = Path(__file__).resolve().parent


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces, no NaN. Two equal settings always give equal strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_bytes(data: bytes | memoryview) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file, read in blocks. UserError where there is none."""
    if not path.is_file():
        raise UserError(f"{path}: expected a file, found none: check the path, or run the step that writes it")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# ---- source fingerprints -------------------------------------------------------------------------


class _WithoutDocstrings(ast.NodeTransformer):
    """Drops every string that stands alone: docstrings, also those below a constant or an attribute."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node


def _imported_modules(tree: ast.Module) -> Iterable[str]:
    """Every module that may run for the imports of `tree`: importing `a.b.c` also runs `a` and `a.b`."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"line {node.lineno}: expected absolute imports, found a relative one")
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _module_file(name: str) -> Path | None:
    """The file of a module of this library, except the library's own `__init__`, which holds its version alone."""
    if not name.startswith("certifuse."):
        return None
    path = LIBRARY.joinpath(*name.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _read_module(path: Path) -> tuple[str, tuple[Path, ...]]:
    """Digest of the module's syntax tree, and the library files that it imports (at any depth of nesting)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {file for name in _imported_modules(tree) if (file := _module_file(name))}
    return digest_bytes(ast.dump(_WithoutDocstrings().visit(tree)).encode()), tuple(sorted(imported))


def source_fingerprint(script: Path) -> str:
    """Digest of everything a step's script runs from this library, blind to comments, layout and docstrings.

    The import graph is followed statically from `script`, so that nothing is imported to compute it.
    """
    digests: dict[Path, str] = {}
    waiting = [script.resolve()]
    while waiting:
        path = waiting.pop()
        if path not in digests:
            digests[path], imported = _read_module(path)
            waiting.extend(imported)
    parts = sorted(
        f"{path.name if path == script.resolve() else path.relative_to(LIBRARY)}:{digest}"
        for path, digest in digests.items()
    )
    return digest_bytes("\n".join(parts).encode())[:16]


# ---- files ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def in_use(temporary: Path) -> Iterator[int]:
    """Mark a temporary file or directory as being written, by a lock that the kernel frees with the process."""
    handle = os.open(temporary, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # no locks on this file system: then nothing there is taken for left over
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left half written of `path`: temporary files and directories beside it."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.????????"):
        with contextlib.suppress(OSError):  # it is in use, or gone by now
            handle = os.open(leftover, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            finally:
                os.close(handle)


def write_atomically(path: Path, write: Callable[[Path], None], size_bytes: int) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place: readers see all of it or none.

    `size_bytes` is how large the file will be, for the message of the DiskError where the disk refuses it.
    """
    with writing(path, lambda: size_bytes):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        _write_and_replace(path, write)


def _write_and_replace(path: Path, write: Callable[[Path], None]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        with in_use(temporary) as handle:
            write(temporary)
            os.fsync(handle)
            temporary.chmod(0o644)
            temporary.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    write_atomically(path, write, len(data))


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON with sorted keys, atomically. NaN is refused: a missing value is `null`."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


# ---- manifests -----------------------------------------------------------------------------------

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


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(LIBRARY), *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def git_state() -> dict[str, Any]:
    """Commit, whether tracked files differ from it, and the digest of that difference; `null` outside git."""
    commit, difference = _git("rev-parse", "HEAD"), _git("diff", "HEAD")
    return {
        "commit": commit.strip() if commit else None,
        "dirty": None if difference is None else bool(difference),
        "diff_sha256": digest_bytes(difference.encode()) if difference else None,
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """Which CPU this is, since it chooses the kernels and thereby the last bits; `null` where the system is silent."""
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
