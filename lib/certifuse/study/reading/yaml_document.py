"""YAML whose aliases are counted before they are followed: a few hundred bytes can stand for more than fits a machine.

An alias stands for all that its anchor marks, and PyYAML lets both share it; but whoever goes through the values goes
through them once for every alias, and `<<` copies them.
"""

from typing import Any

import yaml  # type: ignore[import-untyped]

MOST_VALUES = 100_000
"""Values in one document, each counted as often as it stands there. The largest study that ships has 200."""


class Document:
    """A YAML text: its tree of nodes, which has lines and columns, and the value that it means.

    Raises:
        yaml.YAMLError: the text is no YAML.
        RecursionError: it is nested more deeply than PyYAML reads.
        ValueError: it has more than `MOST_VALUES` values, or one that contains itself.
    """

    def __init__(self, text: str) -> None:
        self._loader = yaml.SafeLoader(text)
        self.root: Any = self._loader.get_single_node()
        if self.root is not None and (found := _size(self.root, {})) > MOST_VALUES:
            raise ValueError(f"{found} values where aliases are written out, expected at most {MOST_VALUES}")

    def value(self) -> Any:
        """What the text means; None of an empty one. ValueError for a date or a number that cannot be."""
        return None if self.root is None else self._loader.construct_document(self.root)


def _size(node: Any, known: dict[int, int | None]) -> int:
    """Values below a node and itself; `known` holds those of nodes that were seen, None inside their own."""
    key = id(node)
    if key not in known:
        known[key] = None
        inner = [] if isinstance(node, yaml.ScalarNode) else node.value
        parts = [part for one in inner for part in (one if isinstance(one, tuple) else (one,))]
        known[key] = 1 + sum(_size(part, known) for part in parts)
    size = known[key]
    if size is None:
        raise ValueError("a value that contains itself")
    return size
