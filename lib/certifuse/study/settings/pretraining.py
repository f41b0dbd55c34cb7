"""Training of one network on its own images: an expert, or the single model on all images."""

from typing import Any, Literal

from pydantic import Field

from certifuse.base.records import (
    Count,
    NonNegative,
    Positive,
    Probability,
    added,
    kept,
    overridden,
    overrides_of,
)
from certifuse.study.settings.architectures import ArchitectureName
from certifuse.study.settings.augmentation import AUGMENTATIONS, Augmentation
from certifuse.study.settings.recipe import Recipe, Schedule


class ExpertTraining(Recipe):
    """SGD with Nesterov momentum and a cosine learning rate, unless other ones are chosen."""

    epochs: Count = Field(default=200, description="Passes over the expert's images.")
    batch_size: Count = Field(default=128, description="Images per step.")
    optimizer: Literal["sgd", "adamw", "muon"] = added(
        "sgd", "`muon`: filters and matrices by Muon, all else as section `muon` says."
    )
    schedule: Schedule = added(
        "cosine", "Learning rate over the epochs; `triangular`: linear up over `warmup_epochs`, then linear to zero."
    )
    lr: Positive = Field(default=0.1, description="Learning rate at the start.")
    warmup_epochs: NonNegative = Field(default=0.0, description="Linear rise of the learning rate, in epochs.")
    momentum: Probability = Field(default=0.9, description="Nesterov momentum.")
    weight_decay: NonNegative = Field(
        default=1e-4, description="L2 penalty; with AdamW and Muon decoupled weight decay."
    )
    label_smoothing: Probability = Field(default=0.1, description="Mass moved from the label to all classes.")
    augmentation: Augmentation = Field(
        default=AUGMENTATIONS["cutmix"],
        description="Name of a recipe (none, standard, balanced, cutmix, strong), or its keys.",
    )
    clip_norm: Positive | None = Field(default=None, description="Gradient norm limit; null: none.")
    early_stopping_patience: Count | None = Field(
        default=None, description="Stop after this many epochs without a better validation accuracy; null: never."
    )


ExpertOverrides: Any = overrides_of(ExpertTraining)


class PretrainingSettings(ExpertTraining):
    """Expert training, with overrides per architecture."""

    per_architecture: dict[ArchitectureName, ExpertOverrides] = Field(
        default={}, description="Keys that differ for one architecture."
    )

    @kept
    def resolved(self, architecture: str) -> ExpertTraining:
        """The training of one architecture."""
        base = ExpertTraining.model_validate_json(self.model_dump_json(exclude={"per_architecture"}))
        chosen = overridden(base, self.per_architecture.get(architecture))
        return overridden(chosen, None, **chosen.unread_keys(chosen.optimizer))
