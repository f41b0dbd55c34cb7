"""Validation errors as one line each: where, what was found, what is allowed, the nearest spelling."""

import json
import re
from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from certifuse.base.errors import UserError, nearest
from certifuse.base.records import MisfitError, SettingsType
from certifuse.study.reading.plain_values import dotted, shown, unplain_values

EXPECTED = {
    "missing": "this key is required",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "string_type": "expected a string",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
    "model_attributes_type": "expected a mapping",
    "string_too_long": "expected at most {max_length} characters",
}

MOST_LINES = 20
"""About what no model could hold. A list that contains itself many times has more problems than can be counted."""


def read_settings(
    model: type[SettingsType],
    values: Mapping[str, Any],
    origin: str,
    command_line: Mapping[str, Any] = MappingProxyType({}),
) -> SettingsType:
    """Validate plain values (as YAML gives them) into `model`; `command_line` is the part of them from there.

    Raises:
        UserError: one line per problem, each beginning with `origin` and the dotted path of the key.
    """
    try:
        return validated(model, values)
    except ValidationError as error:
        lines = [f"{origin}: {_line(model, problem, command_line)}" for problem in _causes(error.errors())]
    raise UserError(*dict.fromkeys(lines))


def refuse_unplain(values: Mapping[str, Any], origin: str) -> None:
    """UserError, with a line for each of the first problems as in `read_settings`, for what no model could hold."""
    found = islice(unplain_values(values), MOST_LINES)
    lines = [f"{origin}: {dotted(path)}: {problem}" for path, problem in found]
    if lines:
        raise UserError(*lines)


def validated(model: type[SettingsType], values: Mapping[str, Any]) -> SettingsType:
    """`values` as `model`, in strict JSON mode; pydantic's ValidationError where they do not fit."""
    return model.model_validate_json(json.dumps(values))


def key_path(model: type[BaseModel], problem: Any) -> list[str | int]:
    """The keys that lead to what a pydantic problem of `model` is about.

    Pydantic also names the member of a union that a `source` chose; that is no key, and left out.
    """
    candidates: list[Any] = [model]
    keys: list[str | int] = []
    for part in problem["loc"]:
        if not any(part in _tags(candidate) for candidate in candidates):
            keys.append(part)
        candidates = [inner for candidate in candidates for inner in _step(candidate, part)]
    return keys


def _tags(candidate: Any) -> tuple[Any, ...]:
    source = getattr(candidate, "model_fields", {}).get("source")
    return () if source is None else get_args(source.annotation)


def _causes(problems: list[Any]) -> list[Any]:
    """Problems without the complaint that a list is too short when that is so because its items were refused."""
    places = [problem["loc"] for problem in problems]
    return [
        problem
        for problem in problems
        if problem["type"] != "too_short"
        or not any(
            len(place) > len(problem["loc"]) and place[: len(problem["loc"])] == problem["loc"] for place in places
        )
    ]


def _line(model: type[BaseModel], problem: Any, command_line: Mapping[str, Any]) -> str:
    """One problem: the dotted path, what is expected there, what was found."""
    kind, context, value = problem["type"], problem.get("ctx", {}), problem["input"]
    path = key_path(model, problem)
    is_key = kind != "extra_forbidden" and path[-1:] == ["[key]"]
    path = path[:-1] if is_key else path
    where, found = dotted(path), shown(value)
    if kind == "extra_forbidden" or is_key:
        allowed = _keys_at(model, problem["loc"][: -2 if is_key else -1])
        return f"{where}: unknown key; allowed: {', '.join(allowed)}{nearest(str(path[-1]), allowed)}"
    if kind == "union_tag_not_found":
        return f"{where}.source: {EXPECTED['missing']}"
    if kind == "missing":
        return f"{where}: {EXPECTED[kind]}"
    if kind == "union_tag_invalid":
        return _not_among(f"{where}.source", context["expected_tags"], value.get("source"))
    if kind == "literal_error":
        return _not_among(where, context["expected"], value)
    if kind == "value_error":
        message = str(context["error"])
        if isinstance(context["error"], MisfitError):
            return f"{dotted([*path, *context['error'].key.split('.')])}: {message}"
        message = message if "found" in message or not where else f"{message}; found {found}"
        return f"{where}: {message}" if where else message
    if kind == "string_pattern_mismatch":
        return f"{where}: expected text that matches {context['pattern']}, found {found}"
    if kind == "string_type" and isinstance(value, int | float):
        in_quotes = f'write it in quotes ("{found}")'
        in_file = "put it into the configuration file, in quotes, since Snakemake reads a number on the command line"
        return f"{where}: expected a string, found {found}: {in_file if where in command_line else in_quotes}"
    if kind == "too_short":
        return f"{where}: expected at least {context['min_length']} in the list, found {found}"
    if kind == "too_long":
        return f"{where}: expected at most {context['max_length']} in the list, found {found}"
    expected = EXPECTED.get(kind, problem["msg"].replace("Input should be", "expected")).format(**context)
    expected = re.sub("^expected (greater|less)", r"expected a value \1", expected)
    return f"{where}: {expected}, found {found}"


def _not_among(where: str, allowed: str, value: Any) -> str:
    """The line for a value that is none of those in pydantic's list, which reads 'a', 'b' or 'c'."""
    words = [word.strip("'") for word in allowed.replace(" or ", ", ").split(", ")]
    mend = nearest(str(value), words)
    if isinstance(value, bool) and "on" in words:
        mend = ': YAML reads on and off as truth values, so write "on" and "off"'
    return f"{where}: expected one of {', '.join(words)}, found {shown(value)}{mend}"


def _keys_at(model: Any, path: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed in the mapping at `path`."""
    candidates = [model]
    for part in path:
        candidates = [inner for candidate in candidates for inner in _step(candidate, part)]
    return list(dict.fromkeys(key for candidate in candidates for key in _keys(candidate)))


def _models_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return (
        [annotation] if _mapping_keys(annotation) else [m for inner in get_args(annotation) for m in _models_in(inner)]
    )


def _mapping_keys(annotation: Any) -> list[str]:
    arguments = get_args(annotation)
    return list(get_args(arguments[0])) if getattr(annotation, "__origin__", None) is dict else []


def _step(candidate: Any, part: Any) -> list[Any]:
    if isinstance(part, int):
        return [candidate]
    fields = getattr(candidate, "model_fields", {})
    if part in fields:
        return _models_in(fields[part].annotation)
    if "source" in fields:
        return [candidate] if part in get_args(fields["source"].annotation) else []
    return _models_in(get_args(candidate)[1]) if get_args(candidate) else []


def _keys(candidate: Any) -> list[str]:
    return list(getattr(candidate, "model_fields", {})) or _mapping_keys(candidate)
