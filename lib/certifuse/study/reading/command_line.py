"""Settings from the command line, where Snakemake hands over as text what is nested: `fusion={"epochs": 3}`."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from certifuse.base.records import Settings
from certifuse.study.reading.plain_values import Path, unplain_values
from certifuse.study.reading.problems import key_path, validated

SOURCED: tuple[tuple[str, ...], ...] = (("data",), ("sublora", "corpus"))
"""The sections whose keys depend on the source that they name."""


def with_command_line_types(
    model: type[Settings], config: Mapping[str, Any], command_line: Mapping[str, Any]
) -> Mapping[str, Any]:
    """`config`, where a text from the command line that `model` refuses is replaced by what YAML reads in it.

    A text that is accepted stays one: `{"lambdas": ["1.0"]}` names a lambda although YAML would read a number.
    `command_line` may be that of a workflow that has this one as a module: then names of sections of its own lead to
    `config`, as in `cifar={"fusion": {"epochs": 3}}`.
    """
    texts = {path[start:] for path in _texts(command_line, ()) for start in range(len(path))}
    if not texts:
        return config
    try:
        validated(model, config)
    except ValidationError as error:
        refused = {path for problem in error.errors() if (path := tuple(key_path(model, problem))) in texts}
        return dict(config) if not refused else _reread(config, refused, ())
    return config


def with_command_line_sources(config: Mapping[str, Any], command_line: Mapping[str, Any]) -> Mapping[str, Any]:
    """`config`, where a section whose `source` the command line gives is as it stands there, and nothing else.

    Snakemake merges it with the keys of the file, which another source would not know. `command_line` as above.
    """
    for place in SOURCED:
        for given in _mappings_at(command_line, place):
            section = _at(config, place)
            if "source" in given and isinstance(section, Mapping) and given.items() <= section.items():
                config = _replaced(config, place, given)
    return config


def _mappings_at(command_line: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    """What stands at `place` in the command line, or there below the name of a module."""
    below = [inner for inner in command_line.values() if isinstance(inner, Mapping)]
    found = [_at(values, place) for values in (command_line, *below)]
    yield from (value for value in found if isinstance(value, Mapping))


def _at(values: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def _replaced(config: Mapping[str, Any], place: tuple[str, ...], section: Mapping[str, Any]) -> Mapping[str, Any]:
    key, *rest = place
    return {**config, key: _replaced(config[key], tuple(rest), section) if rest else dict(section)}


def _texts(value: Any, path: Path) -> Iterator[Path]:
    """The place of every text inside `value`."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))


def _reread(value: Any, places: set[Path], path: Path) -> Any:
    """A copy of `value` with the texts at `places` read as YAML."""
    if isinstance(value, Mapping):
        return {key: _reread(inner, places, (*path, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_reread(inner, places, (*path, index)) for index, inner in enumerate(value)]
    return _yaml(value) if path in places else value


def _yaml(text: str) -> Any:
    """The value that YAML reads in a text; the text itself where that is nothing that a configuration may hold."""
    import yaml  # type: ignore[import-untyped]

    from certifuse.study.reading.yaml_document import Document

    try:
        value = Document(text).value()
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    return text if any(unplain_values(value)) else value
