"""The base of every settings model, the field types they share, and partial overrides."""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model

Method = TypeVar("Method", bound=Callable[..., Any])
ANSWERS = "_answers"
"""Where an object keeps those of its `kept` methods."""


class Settings(BaseModel):
    """Frozen; unknown keys are refused; nothing is converted silently (validation runs in strict JSON mode)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse keys that would hide what every settings model has: `plain` could no longer be called.

        Raises:
            ValueError: names the key.
        """
        super().__init_subclass__(**options)
        kinds = inspect.get_annotations(cls).items()
        free_names(cls.__name__, [name for name, kind in kinds if ClassVar not in (kind, get_origin(kind))])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the settings string that a rule hands to its script."""
        return cls.model_validate_json(text)

    def plain(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        values: dict[str, Any] = json.loads(self.model_dump_json())
        return values

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values, and without the answers of its `kept` methods."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop(ANSWERS, None)
        return copy


def kept(method: Method) -> Method:
    """A method of settings that works out each answer once: they are frozen, and studies of thousands of jobs ask."""

    @wraps(method)
    def answer(self: Settings, *arguments: Any) -> Any:
        answers = self.__dict__.setdefault(ANSWERS, {})
        key = (method.__name__, *arguments)
        if key not in answers:
            answers[key] = method(self, *arguments)
        return answers[key]

    return cast(Method, answer)


def free_names(what: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names of keys or implementations, if they can be such.

    Raises:
        ValueError: one is no plain identifier, or settings models use it themselves; `what` it is for is said.
    """
    for name in (names := tuple(names)):
        if not name.isidentifier() or hasattr(Settings, name):
            found = "is used by every settings model" if name.isidentifier() else "is no plain identifier"
            raise ValueError(f"{what}: expected names that are free, found {name!r}, which {found}: choose another")
    return names


class MisfitError(ValueError):
    """A validator of a section raises it for keys that do not agree; `key`, inside the section, is the one to name."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


SettingsType = TypeVar("SettingsType", bound=Settings)


def _number_from_yaml(value: Any) -> Any:
    """YAML 1.1 reads `1e-4` (no dot) as a string; a string that is such a number means that number."""
    is_number = isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]*)?[eE][+-]?[0-9]+", value)
    return float(value) if is_number else value


def _without_braces(path: str) -> str:
    """Snakemake takes braces in the name of an input for wildcards; control characters are nobody's intention."""
    if not path or any(character in "{}" or character < " " for character in path):
        raise ValueError("expected a path without braces and control characters")
    return path


_YAML = BeforeValidator(_number_from_yaml)

Positive = Annotated[float, Field(gt=0), _YAML]
NonNegative = Annotated[float, Field(ge=0), _YAML]
Fraction = Annotated[float, Field(ge=0, le=1), _YAML]
OpenFraction = Annotated[float, Field(gt=0, lt=1), _YAML]
Probability = Annotated[float, Field(ge=0, lt=1), _YAML]
Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]
FilePath = Annotated[str, AfterValidator(_without_braces)]
"""A path of the user's own."""


def distinct(values: tuple[object, ...]) -> tuple[object, ...]:
    """`values`, if no value is there twice."""
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"expected each value once, found {', '.join(repeated)} more than once")
    return values


Seeds = Annotated[tuple[Index, ...], Field(min_length=1), AfterValidator(distinct)]
Levels = Annotated[int, Field(ge=2, le=65535)]
"""The number of values that a quantised number may have."""


def added(default: Any, description: str) -> Any:
    """A key that came when results were there already: left out of the settings while it is at its default.

    So the settings of every job that does without it stay the same text, and nothing runs again for the new key.
    """
    return Field(default=default, description=description, exclude_if=lambda value: value == default)


def summary_of(model: type[BaseModel]) -> str:
    """The first line of a model's docstring; empty where Python runs without docstrings (-OO)."""
    return (model.__doc__ or "").strip().partition("\n")[0]


def overrides_of(model: type[Settings], without: tuple[str, ...] = ()) -> type[Settings]:
    """A model with the fields of `model`, all optional: a partial override of it."""
    fields: dict[str, Any] = {
        name: (field.rebuild_annotation(), Field(default=None, description=field.description))
        for name, field in model.model_fields.items()
        if name not in without
    }
    return create_model(
        f"{model.__name__}Overrides", __base__=Settings, __doc__=f"Any keys of {model.__name__}.", **fields
    )


def overridden(base: SettingsType, override: Settings | None, **dropped: Any) -> SettingsType:
    """`base` with the keys that `override` sets explicitly, validated again; `dropped` resets base keys."""
    changes = override.model_dump(mode="json", exclude_unset=True) if override else {}
    return type(base).model_validate_json(json.dumps({**base.plain(), **changes, **dropped}))


KEY = "download"


def without_permission(source: Settings) -> dict[str, Any]:
    """The settings of a source as plain values, without the key."""
    return {key: value for key, value in source.plain().items() if key != KEY}


def permitting(source: SettingsType, permitted: bool) -> SettingsType:
    """The source as it is read: with the permission where that is given and it is one that can be fetched."""
    return source.model_copy(update={KEY: True}) if permitted and KEY in type(source).model_fields else source
