"""The floors of the library: imports go down only, and the lower floors do without what takes long to import.

Imports are read from the sources, those inside functions and classes too; what is imported for type checkers alone
does not count, as it never happens.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "certifuse"
FLOORS = (
    ("base",),
    ("study",),
    ("data",),
    ("models", "evaluation"),
    ("training", "certificates", "reporting"),
    ("interface",),
    ("steps", "cli"),
)
"""From the ground up. A room imports from itself and from lower floors, not from its neighbours."""
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = {"torch", "numpy", "pandas", "scipy", "safetensors", "matplotlib"}
LIGHT_ROOMS = FLOORS[0] + FLOORS[1]
HEAVY_MODULES = {"base/tensors.py", "base/randomness.py"}
"""The modules of the light rooms that are there for the sake of tensors; nothing else in these rooms imports them."""
OF_RULES = {"base", "study"}
"""The rooms that Snakefile and rules import from: they are read at every start of Snakemake."""
IMPORT_IN_RULES = re.compile(
    rf"^\s*(?:from\s+({PACKAGE}[\w.]*)\s+import\s+(\([^)]*\)|.+)|import\s+({PACKAGE}\.[\w.]+))", re.M
)


class Import(NamedTuple):
    """A module that is imported, as in `certifuse.base.errors`, and whether that happens with the importing module."""

    line: int
    module: str
    at_once: bool


def imports(path: Path) -> Iterator[Import]:
    """Every import of a module, `from a.b import c` as `a.b.c`; relative ones with a dot in front."""
    return _imports(ast.parse(path.read_text(encoding="utf-8")), at_once=True)


def _imports(node: ast.AST, at_once: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(node.lineno, name.name, at_once) for name in node.names)
    elif isinstance(node, ast.ImportFrom):
        source = "." * node.level + (node.module or "")
        yield from (Import(node.lineno, f"{source}.{name.name}", at_once) for name in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        for otherwise in node.orelse:
            yield from _imports(otherwise, at_once)
    else:
        at_once &= not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from _imports(child, at_once)


def room_of(module: str) -> str | None:
    """The room of a module of the library; nothing for other modules and for the package itself."""
    package, _, rest = module.partition(".")
    room = rest.partition(".")[0]
    return room if package == PACKAGE and room in FLOOR_OF else None


def faults_of_library(library: Path) -> list[str]:
    """What breaks the rules in a directory `certifuse`, a line each."""
    faults = [f"{path.name}: lies loose, outside the rooms" for path in library.glob("*.py") if path.stem != "__init__"]
    rooms = {path.name for path in library.iterdir() if any(path.rglob("*.py"))}
    faults += [f"{room}: is no room of a floor" for room in sorted(rooms - FLOOR_OF.keys())]
    for path in sorted(library.rglob("*.py")):
        name = path.relative_to(library).as_posix()
        faults += [f"{name}:{line}: {fault}" for line, fault in _faults_of_module(path, name)]
    return faults


def _faults_of_module(path: Path, name: str) -> Iterator[tuple[int, str]]:
    own = name.partition("/")[0]
    floor = FLOOR_OF.get(own, -1)  # below all rooms lies what is imported with any of them: __init__.py
    light = (own in LIGHT_ROOMS or own not in FLOOR_OF) and name not in HEAVY_MODULES
    heavy_modules = {f"{PACKAGE}.{module.removesuffix('.py').replace('/', '.')}" for module in HEAVY_MODULES}
    for line, module, at_once in imports(path):
        room = room_of(module)
        if module.startswith("."):
            yield line, f"imports {module}: expected the whole name"
        elif room not in (None, own) and FLOOR_OF[room] >= floor:
            yield line, f"imports {module}: {own} may import from lower floors only"
        if light and at_once and module.partition(".")[0] in HEAVY:
            yield line, f"imports {module}: {own} does without it at the top of a module"
        if light and at_once and any(f"{module}.".startswith(f"{heavy}.") for heavy in heavy_modules):
            yield line, f"imports {module}: {own} does without what that imports"


def faults_of_rules(root: Path) -> list[str]:
    """Imports of Snakefile and rules from rooms that they have no business in."""
    found = []
    for path in [*root.glob("Snakefile"), *sorted(root.glob("rules/*"))]:
        for match in IMPORT_IN_RULES.finditer(path.read_text(encoding="utf-8")):
            module, names, whole = match.groups()
            named = [f"{module}.{word}" for word in re.findall(r"\w+", names)] if module else [whole]
            found += [f"{path.relative_to(root)}: imports {name}" for name in named if room_of(name) not in OF_RULES]
    return found


def test_imports_of_the_library_go_down() -> None:
    assert faults_of_library(ROOT / "lib" / PACKAGE) == []


def test_rules_import_from_base_and_study_alone() -> None:
    assert faults_of_rules(ROOT) == []


# ---- the checks themselves -----------------------------------------------------------------------


SOUND = {
    "__init__.py": "",
    "base/errors.py": "import os",
    "base/tensors.py": "import torch",
    "study/settings/grid.py": "from certifuse.base.errors import UserError",
    "models/networks.py": "import torch\nfrom certifuse.data.images import splits\nfrom certifuse.models import parts",
    "cli/main.py": "from certifuse.models import networks\nimport certifuse\nfrom certifuse import __version__",
}


def planted(root: Path, files: dict[str, str]) -> Path:
    """A small library with these modules."""
    for name, text in files.items():
        path = root / PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / PACKAGE


def test_a_sound_library_has_no_faults(tmp_path: Path) -> None:
    assert faults_of_library(planted(tmp_path, SOUND)) == []


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("base/bad.py", "from certifuse.study.paths import RESULTS", "may import from lower floors only"),
        ("base/bad.py", "import certifuse.study.paths", "may import from lower floors only"),
        ("models/bad.py", "def f():\n    from certifuse.training import epoch", "may import from lower floors only"),
        ("models/bad.py", "class A:\n    try:\n        from certifuse import steps\n    except OSError: ...", "lower"),
        ("__init__.py", "from certifuse.base.errors import UserError", "may import from lower floors only"),
        ("__init__.py", "import torch", "does without it at the top"),
        ("models/bad.py", "from certifuse.evaluation import scores", "may import from lower floors only"),
        ("base/bad.py", "if not TYPE_CHECKING:\n    import numpy", "does without it at the top"),
        ("evaluation/bad.py", "from certifuse.models.networks import Net", "may import from lower floors only"),
        ("training/bad.py", "from certifuse.certificates import verify", "may import from lower floors only"),
        ("cli/bad.py", "from certifuse.steps.gather import gather", "may import from lower floors only"),
        ("cli/bad.py", "from .main import main", "expected the whole name"),
        ("study/bad.py", "import torch", "does without it at the top"),
        ("study/bad.py", "try:\n    from numpy.typing import NDArray\nexcept ImportError: ...", "does without it"),
        ("base/bad.py", "import pandas as pd", "does without it at the top"),
        ("study/bad.py", "from certifuse.base.tensors import read_sealed", "does without what that imports"),
        ("loose.py", "", "lies loose"),
        ("attic/old.py", "", "is no room of a floor"),
    ],
)
def test_a_planted_fault_is_told(tmp_path: Path, name: str, text: str, fault: str) -> None:
    (told,) = faults_of_library(planted(tmp_path, SOUND | {name: text}))
    assert told.startswith(name.partition("/")[0])
    assert fault in told


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "base/good.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n    import certifuse.cli",
        ),
        ("study/good.py", "def f():\n    import torch\n    from certifuse.base.tensors import read_sealed"),
        ("study/good.py", "from certifuse.study.tensors_of import names"),
    ],
)
def test_what_is_imported_for_type_checkers_or_late_is_none(tmp_path: Path, name: str, text: str) -> None:
    assert faults_of_library(planted(tmp_path, SOUND | {name: text})) == []


def test_a_planted_import_in_a_rule_is_told(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "Snakefile").write_text("import certifuse\nfrom certifuse.study import paths, study\n")
    (tmp_path / "rules" / "bad.smk").write_text(
        "rule a:\n    run:\n        from certifuse.models import blocks\n        import certifuse.cli.main\n"
        "from certifuse import (\n    base,\n    training,\n)\n"
    )
    assert faults_of_rules(tmp_path) == [
        "rules/bad.smk: imports certifuse.models.blocks",
        "rules/bad.smk: imports certifuse.cli.main",
        "rules/bad.smk: imports certifuse.training",
    ]
