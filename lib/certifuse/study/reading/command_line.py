"""Settings from the command line, where Snakemake hands over as text what is nested: `fusion={"epochs": 3}`."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from certifuse.base.records import Settings
from certifuse.study.reading.plain_values import Path, unplain_values
from certifuse.study.reading.problems import key_path, validated


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
