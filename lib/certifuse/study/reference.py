"""The configuration reference and the JSON schema, generated from the settings models."""

import json
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from certifuse.base.files import write_text
from certifuse.base.records import Settings, summary_of
from certifuse.study.settings.augmentation import AUGMENTATIONS, AugmentationSettings
from certifuse.study.settings.fusion import GUIDE_DEFAULTS, FusionTraining
from certifuse.study.settings.recipe import Recipe
from certifuse.study.study import Study

TITLE = "The study"


def schema_text() -> str:
    """The JSON schema of a study."""
    return json.dumps(Study.model_json_schema(), indent=2, sort_keys=True) + "\n"


def reference_text() -> str:
    """The sections of the reference page."""
    sections = [*_sections(Study, TITLE), _guide_table(), _recipe_table()]
    return "\n".join(section.rstrip() + "\n" for section in sections)


def write_reference(directory: Path) -> None:
    """Write `schema.json` into a directory, and the sections of its `README.md` below the introduction, which stays."""
    page = directory / "README.md"
    introduction = page.read_text(encoding="utf-8").partition(f"## {TITLE}\n")[0]
    write_text(page, introduction + reference_text())
    write_text(directory / "schema.json", schema_text())


def _sections(model: type[BaseModel], title: str) -> list[str]:
    """The table of a model, then the tables of the models inside it, each once and in order."""
    seen: dict[type[BaseModel], str] = {}
    _collect(model, title, seen)
    return [_table(found, heading) for found, heading in seen.items()]


def _collect(model: type[BaseModel], path: str, seen: dict[type[BaseModel], str]) -> None:
    if model in seen or model.__name__.endswith("Overrides"):
        return
    seen[model] = path
    prefix = "" if model is Study else f"{path}."
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            _collect(inner, f"{prefix}{name}", seen)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a value of this type may be or hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in models_in(inner)]


def _table(model: type[BaseModel], heading: str) -> str:
    summary = summary_of(model)
    lines = [
        f"## {_title(model, heading)}",
        "",
        summary,
        "",
        "| key | value | default | meaning |",
        "|---|---|---|---|",
    ]
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        kind = _kind(schema["properties"][name], schema.get("$defs", {}))
        lines.append(f"| `{name}` | {kind} | {_default(field)} | {_escape(field.description or '')} |")
    return "\n".join(lines) + "\n"


def _title(model: type[BaseModel], heading: str) -> str:
    if model is Study:
        return heading
    source = model.model_fields.get("source")
    return f"`{heading}`" + (f" ({', '.join(get_args(source.annotation))})" if source else "")


def _kind(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in schema:
        return "section"
    if "anyOf" in schema or "oneOf" in schema:
        kinds = [_kind(part, definitions) for part in schema.get("anyOf", schema.get("oneOf", []))]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = {"integer": "whole number", "boolean": "true or false", "null": "null", "object": "section"}.get(
        schema.get("type", ""), schema.get("type", "section")
    )
    if "prefixItems" in schema:
        return f"[{', '.join(_kind(part, definitions) for part in schema['prefixItems'])}]"
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}), definitions)}"
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in bounds.items() if key in schema]
    return _escape(" ".join([kind, *limits]))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default.plain() if isinstance(field.default, Settings) else field.default
    text = json.dumps(value, default=lambda item: item.plain() if isinstance(item, Settings) else str(item))
    return "see its section" if len(text) > 60 else f"`{text}`"


def _guide_table() -> str:
    lines = ["## What a null in `fusion` stands for", "", "The guides' values for each rule.", ""]
    lines += ["| rule | epochs | expert_lr | fusion_lr | augmentation |", "|---|---|---|---|---|"]
    for rule, values in GUIDE_DEFAULTS.items():
        cells = [f"`{rule}`", *(values[key] for key in ("epochs", "expert_lr", "fusion_lr", "augmentation"))]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    guided = GUIDE_DEFAULTS["multiplicative"]
    explained = guided.keys() | Recipe.model_fields.keys()
    unset = [name for name, field in FusionTraining.model_fields.items() if field.default is None]
    others = [f"`{name}`" for name in unset if name not in explained]
    return "\n".join([*lines, "", f"Other keys that may be null mean *none*: {', '.join(others)}."]) + "\n"


def _recipe_table() -> str:
    keys = list(AugmentationSettings.model_fields)
    lines = ["## Augmentation recipes", "", "| name | " + " | ".join(keys) + " |", "|---" * (len(keys) + 1) + "|"]
    for name, recipe in AUGMENTATIONS.items():
        values = recipe.plain()
        lines.append(f"| `{name}` | " + " | ".join(json.dumps(values[key]) for key in keys) + " |")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
