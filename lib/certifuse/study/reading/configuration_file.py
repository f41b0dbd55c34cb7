"""A configuration file, YAML or JSON, as plain values. A key that stands twice is refused: the last would win."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from certifuse.base.errors import UserError
from certifuse.base.files import read_text
from certifuse.study.reading.json_document import json_value, repeated_keys
from certifuse.study.reading.plain_values import DEEPEST, dotted
from certifuse.study.reading.yaml_document import Document

UNREADABLE = (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError)
"""What is raised for what is no YAML, too deep or too large for it, or no number or date that it can make."""
LARGEST_BYTES = 1 << 18
"""Of a configuration; PyYAML reads some 50,000 bytes in a second."""


def read_configuration(path: Path) -> dict[str, Any]:
    """The mapping in a configuration file.

    Raises:
        UserError: the file is absent, too large, neither JSON nor YAML, no mapping, or gives a key twice.
    """
    try:
        config, repeated = _parsed(read_text(path, LARGEST_BYTES), is_json=path.suffix == ".json")
    except OSError as error:
        raise UserError(f"{path}: expected a configuration, found none ({error.strerror}): see config/") from None
    except UNREADABLE as error:
        language = "JSON" if path.suffix == ".json" else "YAML"
        raise UserError(f"{path}: expected {language}, found {_reason(error)}") from None
    if repeated:
        raise UserError(*(f"{path}: {problem}" for problem in repeated))
    if not isinstance(config, dict):
        found = "nothing" if config is None else type(config).__name__
        raise UserError(f"{path}: expected a mapping of settings, found {found}")
    return config


def _parsed(text: str, is_json: bool) -> tuple[Any, list[str]]:
    """The value of a text in JSON, or else in YAML, and a line for each key that stands twice."""
    try:
        value = json_value(text)
        return value, list(repeated_keys(value))
    except (ValueError, RecursionError):
        if is_json:
            raise
    document = Document(text)
    return document.value(), list(_repeated_keys(document.root, ()))


def _reason(error: Exception) -> str:
    return "more nesting than can be read" if isinstance(error, RecursionError) else " ".join(str(error).split())


def _repeated_keys(node: Any, path: tuple[str | int, ...]) -> Iterator[str]:
    """One line for each key that stands twice in one mapping."""
    if len(path) > DEEPEST:
        return
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, (*path, index))
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                line, place = key.start_mark.line + 1, (*path, key.value)
                if key.value in lines:
                    first = lines[key.value]
                    yield f"line {line}: {dotted(place)}: expected each key once, found it on line {first} too"
                lines[key.value] = line
                yield from _repeated_keys(value, place)
