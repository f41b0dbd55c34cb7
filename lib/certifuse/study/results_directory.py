"""The results directory of a study: which names and which places it may have.

A study writes, replaces and deletes files there, and its path is part of commands and of Snakemake's own patterns.
"""

import posixpath
import unicodedata
from pathlib import Path

from certifuse.base.errors import UserError
from certifuse.base.fingerprint import LIBRARY
from certifuse.study.reading.plain_values import shown

ALLOWED = (
    "expected the path of a directory for results alone, below this one or absolute, such as results/first, of "
    "letters, digits, blanks and . _ - +"
)
OF_THE_REPOSITORY = (
    *("lib", "rules", "workflow", "config", "envs", "tests", "docs", "profiles", "src", "node_modules"),
    "benchmarks",
)
"""Where source lies in this repository, and in most."""
LONGEST_NAME_BYTES = 255
"""What file systems take."""
SOURCE_SUFFIXES = {".py", ".pyi", ".ipynb", ".smk", ".c", ".cc", ".cpp", ".cu", ".h", ".r", ".jl", ".rs", ".go", ".sh"}
SOURCE_NAMES = {".git", ".hg", "snakefile", "pyproject.toml", "setup.cfg", "makefile", "cmakelists.txt"}
OWN_NAMES = {"csv_logs", "experts", "fusion_checkpoints", "logs", "metrics", "splits", "sublora"}
"""Directories of a study: one that has any of these is in use, whatever else somebody has put there."""


def results_directory(text: str) -> str:
    """The path in its one spelling.

    Raises:
        ValueError: says what is allowed, and what is wrong.
    """
    problem = _problem_of(text)
    if problem is not None:
        raise ValueError(f"{ALLOWED}; found {shown(text)}: {problem}")
    return _one_spelling(text)


def _one_spelling(text: str) -> str:
    path = posixpath.normpath(unicodedata.normalize("NFC", text))
    return "/" + path.lstrip("/") if path.startswith("/") else path


def _problem_of(text: str) -> str | None:
    """What is wrong with a path, wherever it is."""
    if not text.strip():
        return "it names nothing"
    other = sorted({character for character in text if not _is_plain(character)})
    if other:
        return f"it has {', '.join(map(shown, other))}"
    path = _one_spelling(text)
    parts = [part for part in path.split("/") if part]
    if ".." in parts:
        return "it leads out of this directory, so write the absolute path"
    if not parts or parts == ["."]:
        return "that is the whole of it"
    if any(part.startswith("-") for part in parts):
        return "commands take names that begin with - for options"
    if any(part != part.strip() for part in parts):
        return "a name in it begins or ends with a blank"
    if any(len(part.encode()) > LONGEST_NAME_BYTES for part in parts):
        return f"a name in it has more than {LONGEST_NAME_BYTES} bytes"
    if path.startswith("/"):
        return None
    if parts[0].startswith("."):
        return "hidden directories belong to programs"
    return f"{parts[0]} is a directory of source" if parts[0].lower() in OF_THE_REPOSITORY else None


def _is_plain(character: str) -> bool:
    """Letters with their marks and digits of any script, and a few signs that neither a shell nor a pattern reads."""
    return character in " ._-+/" or unicodedata.category(character)[0] in "LMN"


def check_place(results_dir: str) -> None:
    """Look where a results directory lies; a file of this repository is never written over.

    Raises:
        UserError: it is inside this directory or this library and written as absolute, a file, or full of source.
    """
    path = Path(results_dir)
    found = f"config: results_dir: {ALLOWED}; found {shown(results_dir)}"
    if path.is_absolute():
        for home in (Path.cwd(), LIBRARY.parents[1]):
            inside = path.resolve()
            if inside.is_relative_to(home.resolve()):
                relative = inside.relative_to(home.resolve()).as_posix()
                raise UserError(f"{found}: it lies in {home}, where it is written {shown(relative)}")
    if path.exists() and not path.is_dir():
        raise UserError(f"{found}: there is a file of this name")
    if path.is_dir() and (source := _source_in(path)):
        raise UserError(f"{found}: that directory holds source ({source})")


def _source_in(directory: Path) -> str | None:
    """The name of a source file at the top of a directory, or one below, that is none of a study."""
    inside = _entries(directory)
    if any(entry.name in OWN_NAMES for entry in inside):
        return None
    below = [each for entry in inside for each in _entries(entry)]
    for entry in (*inside, *below):
        if entry.suffix.lower() in SOURCE_SUFFIXES or entry.name.lower() in SOURCE_NAMES:
            return entry.relative_to(directory).as_posix()
    return None


def _entries(directory: Path) -> list[Path]:
    """What lies in a directory; nothing where that is none, or is not to be looked into."""
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []
