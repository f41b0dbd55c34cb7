"""The documents that every Python has: its language reference and the documentation strings of its library."""

import ast
import importlib
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from certifuse.base.errors import UserError
from certifuse.data.text.sources.streams import Streams
from certifuse.study.settings.corpora import PythonDocsCorpus

SETTINGS = PythonDocsCorpus
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
"""Directories of other packages and of tests."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read(settings: PythonDocsCorpus) -> Streams:
    """The embedded documents of this Python."""
    return {"train": python_documents(settings.min_characters)}


def python_documents(min_characters: int) -> Iterator[str]:
    """The topics of `pydoc_data.topics` by name, then the documentation strings with at least `min_characters`.

    Raises:
        UserError: this Python was installed without the topics.
    """
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ImportError as error:
        raise UserError(
            "corpus.source: python_docs: expected the module pydoc_data.topics, found a Python without it; "
            "install its standard library, or use corpus.source: jsonl"
        ) from error
    yield from (topics[name] for name in sorted(topics))
    library = Path(sysconfig.get_path("stdlib"))
    yield from (text for text in documentation_strings(library) if len(text) >= min_characters)


def documentation_strings(directory: Path) -> Iterator[str]:
    """The documentation strings of all modules below `directory`, by path; nothing is imported."""
    paths = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*.py")}
    for name in sorted(paths):
        if not LEFT_OUT.intersection(name.split("/")):
            yield from _strings_of(paths[name])


def _strings_of(path: Path) -> Iterator[str]:
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # a template or a sample, which is no module of this Python
    for node in ast.walk(tree):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            yield text
