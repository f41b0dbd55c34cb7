"""Training of one network on its own images: an expert, or the single model on all images."""

from typing import Any

from pydantic import Field

from certifuse.base.records import Count, NonNegative, Positive, Probability, Settings, kept, overridden, overrides_of
from certifuse.study.settings.architectures import ArchitectureName
from certifuse.study.settings.augmentation import AUGMENTATIONS, Augmentation


class ExpertTraining(Settings):
    """SGD with Nesterov momentum and a cosine learning rate."""

    epochs: Count = Field(default=200, description="Passes over the expert's images.")
    batch_size: Count = Field(default=128, description="Images per step.")
    lr: Positive = Field(default=0.1, description="Learning rate at the start.")
    warmup_epochs: NonNegative = Field(default=0.0, description="Linear rise of the learning rate, in epochs.")
    momentum: Probability = Field(default=0.9, description="Nesterov momentum.")
    weight_decay: NonNegative = Field(default=1e-4, description="L2 penalty.")
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
        return overridden(base, self.per_architecture.get(architecture))
