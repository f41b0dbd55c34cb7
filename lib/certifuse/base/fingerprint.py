"""Canonical JSON, digests, source fingerprints, atomic files and manifests. Imports neither torch nor numpy."""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from certifuse.base.digests import digest_bytes

LIBRARY = Path(__file__).resolve().parents[1]


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
