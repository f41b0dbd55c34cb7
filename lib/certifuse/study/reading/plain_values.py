"""Plain values, of which a configuration is made: checked before it meets a model, and how they are shown."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]

DEEPEST = 20
"""Levels of nesting; no section has half as many. A mapping that contains itself has more than any number."""
LARGEST = 2**63 - 1
"""Of whole numbers: what every step can take as one."""
LONGEST_SHOWN = 80


def dotted(path: Iterable[Any]) -> str:
    """The path of a key as messages have it: `grid.0.seeds`; a key with other characters stands in quotes."""
    return ".".join(_part(key if isinstance(key, str) else shown(key)) for key in path)


def _part(key: str) -> str:
    plain = key.isprintable() and "." not in key and " " not in key
    shown = key if key and plain else repr(key)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[: LONGEST_SHOWN - 3]}..."


def shown(value: Any) -> str:
    """A value as messages have it: as JSON where it can be, on one line, cut where it is long."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def unplain_values(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The place of everything that is no plain value, and what is wrong there.

    Plain are mappings, lists, text, truth values, null and numbers. YAML has more: dates, bytes, sets.
    """
    if len(path) > DEEPEST:
        yield path, f"expected at most {DEEPEST} levels of nesting, found more"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            place: Any = (*path, key)
            if not isinstance(key, str):
                yield place, f"expected text as key, found {shown(key)}: write it in quotes"
            else:
                yield from unplain_values(inner, place)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from unplain_values(inner, (*path, index))
    elif (problem := _problem_of(value)) is not None:
        yield path, problem


def _problem_of(value: Any) -> str | None:
    if isinstance(value, str):
        halves = any("\ud800" <= character <= "\udfff" for character in value)
        return f"expected Unicode text, found half of a surrogate pair in {shown(value)}" if halves else None
    if isinstance(value, bool | float) or value is None:
        return None
    if isinstance(value, int):
        bits = f"expected a number of at most 64 bits, found one of {value.bit_length() + 1}"
        return None if abs(value) <= LARGEST else bits
    kind = type(value).__name__
    return f"expected text, a number, true, false, null, a list or a mapping, found a {kind}: write it in quotes"
