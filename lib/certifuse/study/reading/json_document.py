"""A configuration in JSON, which Snakemake tries before YAML: tabs may indent it, and its keys are counted too."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from certifuse.study.reading.plain_values import Path, dotted


class _Object(dict[str, Any]):
    """An object of JSON; `repeated` are the keys that stand in it more than once."""

    repeated: tuple[str, ...] = ()


def json_value(text: str) -> Any:
    """The value of a JSON text, for `repeated_keys` to look at.

    Raises:
        ValueError: it is none.
        RecursionError: it is too deep.
    """
    return json.loads(text, object_pairs_hook=_object)


def repeated_keys(value: Any, path: Path = ()) -> Iterator[str]:
    """One line for each key that stands more than once in one object."""
    if isinstance(value, _Object):
        for key in value.repeated:
            yield f"{dotted((*path, key))}: expected each key once, found it more than once"
        for key, inner in value.items():
            yield from repeated_keys(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from repeated_keys(inner, (*path, index))


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    found = _Object(pairs)
    if len(found) < len(pairs):
        found.repeated = tuple(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
    return found
