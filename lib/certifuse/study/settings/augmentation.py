"""Augmentation of a training batch."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from certifuse.base.errors import nearest
from certifuse.base.records import Fraction, Index, NonNegative, Settings


class AugmentationSettings(Settings):
    """Each part is off at 0. At most one of mixup and cutmix acts on a batch."""

    crop_padding: Index = Field(default=4, description="Zero padding in pixels before a random crop.")
    flip: bool | Literal["alternating"] = Field(
        default=True,
        description="Horizontal flip with probability 1/2; `alternating`: at random in the first epoch, then each "
        "image the other way in every epoch (Jordan 2024, arXiv 2404.00498).",
    )
    mixup_alpha: NonNegative = Field(default=0.0, description="Beta(alpha, alpha) of mixup (arXiv 1710.09412).")
    cutmix_alpha: NonNegative = Field(default=0.0, description="Beta(alpha, alpha) of CutMix (arXiv 1905.04899).")
    mix_probability: Fraction = Field(
        default=0.5, description="Probability that a batch is mixed; where both are on, each is as likely."
    )
    erasing_probability: Fraction = Field(
        default=0.0, description="Probability that an image loses a rectangle (random erasing, arXiv 1708.04896)."
    )


AUGMENTATIONS: dict[str, AugmentationSettings] = {
    "none": AugmentationSettings(crop_padding=0, flip=False),
    "standard": AugmentationSettings(),
    "balanced": AugmentationSettings(mixup_alpha=0.2, mix_probability=0.3, erasing_probability=0.1),
    "cutmix": AugmentationSettings(cutmix_alpha=1.0),
    "strong": AugmentationSettings(mixup_alpha=0.2, cutmix_alpha=1.0, erasing_probability=0.25),
}


def _by_name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in AUGMENTATIONS:
        raise ValueError(f"unknown recipe; allowed: {', '.join(AUGMENTATIONS)}{nearest(value, AUGMENTATIONS)}")
    return AUGMENTATIONS[value]


Augmentation = Annotated[
    AugmentationSettings,
    BeforeValidator(_by_name),
    WithJsonSchema(
        {"anyOf": [{"enum": list(AUGMENTATIONS), "type": "string"}, AugmentationSettings.model_json_schema()]}
    ),
]
"""The name of a recipe, which stands for its keys, or the keys themselves."""
