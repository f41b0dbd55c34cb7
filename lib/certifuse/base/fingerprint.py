"""The source fingerprint of a job: a digest of every definition of this library that the job can use, and no other.

From the script of a step, names are followed through the library as text; nothing is imported. A function, a class, an
assignment or an import counts when something that counts names it; a statement that defines nothing counts where its
module is entered. What a job finds by name at run time (a fusion rule, an architecture, a figure) is handed over as
`modules`, which count whole. So an edit reruns the steps that use what was edited, and an addition reruns nothing.
Comments, layout and docstrings do not count, nor does what stands under `if TYPE_CHECKING`.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from certifuse.base.digests import digest_bytes

LIBRARY = Path(__file__).resolve().parents[1]
"""The directory of this package."""
PACKAGE = "certifuse"
DIGITS = 16
WHOLE = "*"
"""In the place of a name: all of a module."""


@dataclass(frozen=True)
class Definition:
    """A statement at the top of a module: its digest, and the names that it uses, dotted as in `module.name`."""

    digest: str
    uses: frozenset[str]


@dataclass(frozen=True)
class Source:
    """A module as its text tells: what defines each name, what defines none, and the dotted origins of an import."""

    defined: dict[str, list[Definition]] = field(default_factory=dict)
    others: list[Definition] = field(default_factory=list)
    imported: dict[str, list[str]] = field(default_factory=dict)


def source_fingerprint(script: Path, modules: Iterable[str] = ()) -> str:
    """Sixteen hexadecimal digits for all that a job runs of this library.

    Args:
        script: the program of the step.
        modules: dotted names of the modules that the job finds by name.

    Raises:
        ValueError: one of `modules` does not exist, or a module has an import that cannot be followed.
    """
    return _fingerprint(script.resolve(), script.name, tuple(sorted(set(modules))))


@cache
def _fingerprint(script: Path, name: str, modules: tuple[str, ...]) -> str:
    return digest_bytes("\n".join(sorted(_counted(script, name, modules))).encode())[:DIGITS]


def _counted(script: Path, name: str, modules: Iterable[str]) -> set[str]:
    """All that counts, a text `module:name:...` each: what defines the name there, or where it is imported from."""
    waiting = [(name, WHOLE)]
    for module in modules:
        if _source(module) is None:
            raise ValueError(f"source fingerprint: expected a module of this library, found none called {module}")
        waiting += _behind(module)
    counted: set[str] = set()
    seen: set[tuple[str, str]] = set()
    while waiting:
        where, used = waiting.pop()
        source = _read(script) if where == name else _source(where)
        if source is None or (where, used) in seen:
            continue
        seen.add((where, used))
        first, dot, rest = used.partition(".")
        if first == WHOLE:
            waiting += [(where, each) for each in (*source.defined, *source.imported)]
        for of, definitions in (("", source.others), (first, source.defined.get(first, []))):
            if definitions:
                counted.add(f"{where}:{of}:{' '.join(one.digest for one in definitions)}")
            waiting += [(where, each) for one in definitions for each in one.uses]
        for origin in source.imported.get(first, ()):
            counted.add(f"{where}:{first}:{origin}")
            waiting += _behind(f"{origin}{dot}{rest}")
    return counted


def _behind(path: str) -> Iterator[tuple[str, str]]:
    """Module and name of what a dotted path means: the longest part of it that is a module, and the rest of the path.

    The packages on the way count whole, since importing a.b.c also runs the `__init__` of a.b.
    """
    parts = path.split(".")
    if parts[0] != PACKAGE:
        return
    modules = [length for length in range(2, len(parts) + 1) if _file(".".join(parts[:length]))]
    for length in modules:
        rest = ".".join(parts[length:]) if length == modules[-1] else ""
        yield ".".join(parts[:length]), rest or WHOLE


@cache
def _file(module: str) -> Path | None:
    """The file of a module, except the library's own `__init__`, which holds its version alone."""
    path = LIBRARY.joinpath(*module.split(".")[1:])
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _source(module: str) -> Source | None:
    file = _file(module) if module.startswith(f"{PACKAGE}.") else None
    return None if file is None else _read(file)


# ---- reading a module ----------------------------------------------------------------------------


class _WithoutDocstrings(ast.NodeTransformer):
    """Drops every string that stands alone: docstrings, also those below a constant or an attribute."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node


@cache
def _read(path: Path) -> Source:
    source = Source()
    for node in _WithoutDocstrings().visit(ast.parse(path.read_text(encoding="utf-8"))).body:
        if _is_for_types_alone(node):
            continue
        for name, origin in _imports_in(node):
            source.imported.setdefault(name, []).append(origin)
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        definition = Definition(digest_bytes(ast.dump(node).encode()), frozenset(_names_in(node)))
        names = _defined_by(node)
        for name in names:
            source.defined.setdefault(name, []).append(definition)
        if not names:
            source.others.append(definition)
    return source


def _is_for_types_alone(node: ast.stmt) -> bool:
    """An `if TYPE_CHECKING` without an else, which never runs."""
    if not isinstance(node, ast.If) or node.orelse:
        return False
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _imports_in(node: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that imports bind, at any depth, each with the dotted path behind it."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            for alias in inner.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
        elif isinstance(inner, ast.ImportFrom):
            if inner.level or inner.module is None:
                raise ValueError(f"line {inner.lineno}: expected absolute imports, found a relative one")
            for alias in inner.names:
                if alias.name == "*":
                    raise ValueError(f"line {inner.lineno}: expected imports of names, found one of everything")
                yield alias.asname or alias.name, f"{inner.module}.{alias.name}"


def _names_in(node: ast.AST) -> Iterator[str]:
    """Every name that is used below a node, with the attributes behind it: `paths.CELL_DIR`."""
    attributes, inner = [], node
    while isinstance(inner, ast.Attribute):
        attributes.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield ".".join([inner.id, *reversed(attributes)])
    else:
        for below in ast.iter_child_nodes(inner):
            yield from _names_in(below)


def _defined_by(node: ast.stmt) -> set[str]:
    """The names that a statement binds at the top of its module."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    names: set[str] = set()
    waiting: list[ast.AST] = [node]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(inner.name)
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            names.add(inner.id)
        elif not isinstance(inner, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            waiting.extend(ast.iter_child_nodes(inner))
    return names
