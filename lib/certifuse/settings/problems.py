"""Validation errors as one line each: where, what was found, what is allowed, the nearest spelling."""

import json
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from certifuse.errors import UserError, nearest
from certifuse.settings.base import SettingsType

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
}


def read_settings(model: type[SettingsType], values: Mapping[str, Any], origin: str) -> SettingsType:
    """Validate plain values (as YAML gives them) into `model`.

    Raises:
        UserError: one line per problem, each beginning with `origin` and the dotted path of the key.
    """
    try:
        return model.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        lines = [f"{origin}: {_line(model, problem)}" for problem in _causes(error.errors())]
    except ValueError as error:
        lines = [f"{origin}: {error}"]
    raise UserError("\n".join(dict.fromkeys(lines)))


def _causes(problems: list[Any]) -> list[Any]:
    """Without the complaint that a list is too short when that is so because its items were refused."""
    places = [problem["loc"] for problem in problems]
    return [
        problem
        for problem in problems
        if problem["type"] != "too_short"
        or not any(
            len(place) > len(problem["loc"]) and place[: len(problem["loc"])] == problem["loc"] for place in places
        )
    ]


def _line(model: type[BaseModel], problem: Any) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    path = [part for part in problem["loc"] if not _is_tag(part)]
    is_key = bool(path) and path[-1] == "[key]"
    path = path[:-1] if is_key else path
    where, found = ".".join(map(str, path)), json.dumps(problem["input"])
    if len(found) > 80:
        found = f"{found[:77]}..."
    if kind == "extra_forbidden" or is_key:
        allowed = _keys_at(model, path[:-1])
        return f"{where}: unknown key; allowed: {', '.join(allowed)}{nearest(str(path[-1]), allowed)}"
    if kind in {"literal_error", "union_tag_invalid"}:
        allowed = context.get("expected", context.get("expected_tags", "")).replace(" or ", ", ").split(", ")
        words = [word.strip("'") for word in allowed]
        value = problem["input"].get("source") if kind == "union_tag_invalid" else problem["input"]
        where = f"{where}.source" if kind == "union_tag_invalid" else where
        return f"{where}: expected one of {', '.join(words)}, found {json.dumps(value)}{nearest(str(value), words)}"
    if kind == "value_error":
        message = str(context["error"])
        message = message if "found" in message or not where else f"{message}; found {found}"
        return f"{where}: {message}" if where else message
    if kind == "missing":
        return f"{where}: {EXPECTED[kind]}"
    if kind == "string_pattern_mismatch":
        return f"{where}: expected text that matches {context['pattern']}, found {found}"
    if kind == "string_type" and isinstance(problem["input"], int | float):
        return f'{where}: expected a string, found {found}: write it in quotes ("{found}")'
    expected = EXPECTED.get(kind, problem["msg"].replace("Input should be", "expected").replace("Tuple", "the list"))
    return f"{where}: {expected}, found {found}"


def _is_tag(part: Any) -> bool:
    """Whether a part of the location names a member of a tagged union and not a key."""
    return part in {"digits", "cifar10", "cifar100", "npz"}


def _keys_at(model: Any, path: list[Any]) -> list[str]:
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
    return _models_in(get_args(candidate)[1]) if get_args(candidate) else []


def _keys(candidate: Any) -> list[str]:
    return list(getattr(candidate, "model_fields", {})) or _mapping_keys(candidate)
