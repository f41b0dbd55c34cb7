"""Changes of a copy of the sources: of its configuration, of its library, of its times."""

import os
from collections.abc import Callable
from typing import Any


def set_at(config: Any, path: str, value: Any) -> None:
    """Set the value at a dotted path of a configuration, in place."""
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        config = config[part] if isinstance(config, list) else config.setdefault(part, {})
    config[last] = value


def setting(path: str, value: Any) -> Callable[[Any], None]:
    """Set the value at a dotted path of the configuration of a tree."""

    def change(tree: Any) -> None:
        config = tree.config()
        set_at(config, path, value)
        tree.write_config(config)

    return change


def edited(file: str, old: str, new: str) -> Callable[[Any], None]:
    """Replace text in a source file."""

    def change(tree: Any) -> None:
        path = tree.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} no longer contains {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def reordered(tree: Any) -> None:
    """Reverse the order of the keys of every mapping of the configuration."""

    def backwards(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: backwards(inner) for key, inner in reversed(value.items())}
        return [backwards(inner) for inner in value] if isinstance(value, list) else value

    tree.write_config(backwards(tree.config()))


def touched(tree: Any) -> None:
    """Make every source file newer than all results, as a fresh checkout does."""
    for folder in ("Snakefile", "rules", "workflow", "lib", "config", "envs", "profiles"):
        for path in [tree.root / folder, *(tree.root / folder).rglob("*")]:
            os.utime(path)
