"""Which modules of the library each script uses, found in a way that knows nothing of `source_fingerprint`."""

from modulefinder import ModuleFinder
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "lib" / "certifuse"
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))


def by_bytecode(script: Path) -> set[str]:
    """The files of the library that the compiled script may import at any depth, as the standard library finds them."""
    finder = ModuleFinder(path=[str(LIBRARY.parent)])
    finder.run_script(str(script))
    return _files(module.__file__ for name, module in finder.modules.items() if name.startswith("certifuse."))


def _files(names: object) -> set[str]:
    return {Path(name).relative_to(LIBRARY).as_posix() for name in names if name is not None}  # type: ignore[attr-defined]
