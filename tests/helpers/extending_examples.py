"""The examples in docs/extending.md of a new fusion rule and a new architecture, done exactly as it says."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Path("lib", "certifuse")
RULES, ARCHITECTURES = (LIBRARY / "study" / "settings" / f"{name}.py" for name in ("fusion", "architectures"))


def examples() -> list[str]:
    """The code of the page, block by block."""
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)\n```", page, flags=re.DOTALL)


def add_rule(tree: Any) -> None:
    """The rule `mean` in a copy of the sources."""
    rule, defaults = examples()[:2]
    write(tree.root / LIBRARY / "models" / "images" / "fusion" / "mean.py", rule)
    insert_before_end(tree.root / RULES, "GUIDE_DEFAULTS: dict", defaults)


def add_architecture(tree: Any) -> None:
    """The architecture `plain_convolutions` in a copy of the sources."""
    sizes, entry, network = examples()[2:]
    insert_before(tree.root / ARCHITECTURES, "ARCHITECTURE_SETTINGS: dict", sizes)
    insert_before_end(tree.root / ARCHITECTURES, "ARCHITECTURE_SETTINGS: dict", entry)
    write(tree.root / LIBRARY / "models" / "images" / "architectures" / "plain_convolutions.py", network)


def write(path: Path, text: str) -> None:
    """A new module."""
    assert not path.exists()
    path.write_text(f"{text.strip()}\n", encoding="utf-8")


def insert_before_end(path: Path, start: str, line: str) -> None:
    """Insert `line` before the closing brace of the dict that begins with `start`."""
    head, tail = path.read_text(encoding="utf-8").split(start, 1)
    path.write_text(head + start + tail.replace("\n}\n", f"\n{line}\n}}\n", 1), encoding="utf-8")


def insert_before(path: Path, start: str, text: str) -> None:
    """Insert `text` before the line that begins with `start`."""
    old = path.read_text(encoding="utf-8")
    assert f"\n{start}" in old
    path.write_text(old.replace(f"\n{start}", f"\n{text}\n\n\n{start}", 1), encoding="utf-8")
