"""Implementations that are found by name: modules of a package that bind one agreed name at their top.

Nothing lists them, so one more touches nothing that exists. Only the module that is asked for is imported.
"""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError, nearest


def implementations(package: str, entry: str) -> tuple[str, ...]:
    """The names of the modules of a package that bind `entry` at their top, in alphabetical order; none is imported."""
    directories = importlib.import_module(package).__path__
    files = [file for directory in directories for file in Path(directory).glob("*.py")]
    return tuple(sorted(file.stem for file in files if file.stem.isidentifier() and entry in _bound_in(file)))


def implementation(package: str, entry: str, name: str, what: str) -> Any:
    """`entry` of the module `name` of a package; `what` is the word for such a thing in a refusal.

    Raises:
        UserError: no module of the package has this name and binds `entry`; says which do, and the nearest spelling.
    """
    found = implementations(package, entry)
    if name not in found:
        raise UserError(f"{what}: expected one of {', '.join(found)}, found {name!r}{nearest(str(name), found)}")
    return getattr(importlib.import_module(f"{package}.{name}"), entry)


def _bound_in(file: Path) -> Iterator[str]:
    """The functions, classes and variables at the top of a module."""
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
