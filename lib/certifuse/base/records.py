"""The base of every settings model, the field types they share, and partial overrides."""

import json
import re
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model


class Settings(BaseModel):
    """Frozen; unknown keys are refused; nothing is converted silently (validation runs in strict JSON mode)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the settings string that a rule hands to its script."""
        return cls.model_validate_json(text)

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        values: dict[str, Any] = json.loads(self.model_dump_json())
        return values


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

Real = Annotated[float, _YAML]
Positive = Annotated[float, Field(gt=0), _YAML]
NonNegative = Annotated[float, Field(ge=0), _YAML]
Fraction = Annotated[float, Field(ge=0, le=1), _YAML]
OpenFraction = Annotated[float, Field(gt=0, lt=1), _YAML]
Probability = Annotated[float, Field(ge=0, lt=1), _YAML]
Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]
FilePath = Annotated[str, AfterValidator(_without_braces)]
"""A path of the user's own."""


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
