"""Implementations that are found by name: modules of a package that bind one agreed name at their top.

Nothing lists them, so one more touches nothing that exists. Only the module that is asked for is imported.
"""

import ast
import functools
import importlib
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError, nearest


def implementations(package: str, entry: str) -> tuple[str, ...]:
    """The names of the modules of a package that bind `entry` at their top, in alphabetical order; none is imported."""
    directories = importlib.import_module(package).__path__
    files = {file.stem: file for directory in directories for file in Path(directory).glob("*.py")}
    return tuple(sorted(name for name, file in files.items() if name.isidentifier() and entry in _bound_in(file)))


def implementation(package: str, entry: str, name: str, what: str) -> Any:
    """`entry` of the module `name` of a package; `what` is the word for such a thing in a refusal.

    Raises:
        UserError: no module of the package has this name and binds `entry`; says which do, and the nearest spelling.
    """
    found = implementations(package, entry)
    if name not in found:
        raise UserError(f"{what}: expected one of {', '.join(found)}, found {name!r}{nearest(str(name), found)}")
    return getattr(importlib.import_module(f"{package}.{name}"), entry)


def _bound_in(file: Path) -> frozenset[str]:
    """The functions, classes and variables at the top of a module."""
    return _bound_by(file.read_bytes())


@functools.cache
def _bound_by(source: bytes) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
    return frozenset(names)
