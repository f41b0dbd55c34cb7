"""Every key of the configuration, from the settings models."""

from collections.abc import Iterator
from typing import Any, get_origin

from pydantic import BaseModel

from certifuse.study.reference import models_in
from certifuse.study.settings.augmentation import AugmentationSettings


def setting_keys(model: type[BaseModel], section: str = "") -> Iterator[str]:
    """The dotted path of every key, [] for any place in a list or mapping; some come more than once (unions).

    A section is no key of its own, but for augmentation, which may be the name of a recipe.
    """
    for name, field in model.model_fields.items():
        path, inner = f"{section}{name}", models_in(field.annotation)
        if not inner or AugmentationSettings in inner:
            yield path
        for nested in inner:
            yield from setting_keys(nested, f"{path}.{'[].' if _is_container(field.annotation) else ''}")


def _is_container(annotation: Any) -> bool:
    return get_origin(annotation) in (tuple, dict)
