"""The fusion rules and how the fused network is trained."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from certifuse.base.records import (
    Count,
    Fraction,
    NonNegative,
    Positive,
    Probability,
    Settings,
    free_names,
    kept,
    overridden,
    overrides_of,
)
from certifuse.study.settings.augmentation import Augmentation
from certifuse.study.settings.recipe import Recipe, Schedule

GUIDE_DEFAULTS: dict[str, dict[str, Any]] = {
    "multiplicative": {"epochs": 80, "expert_lr": 1e-4, "fusion_lr": 5e-4, "augmentation": "balanced"},
    "multiplicativeAddition": {"epochs": 100, "expert_lr": 1e-4, "fusion_lr": 1e-3, "augmentation": "strong"},
    "TransformerBase": {"epochs": 120, "expert_lr": 5e-5, "fusion_lr": 2e-4, "augmentation": "strong"},
    "concatenation": {"epochs": 100, "expert_lr": 1e-4, "fusion_lr": 1e-3, "augmentation": "strong"},
    "simpleAddition": {"epochs": 100, "expert_lr": 1e-4, "fusion_lr": 1e-3, "augmentation": "strong"},
    "multiplicativeShifted": {"epochs": 80, "expert_lr": 1e-4, "fusion_lr": 5e-4, "augmentation": "balanced"},
    "averagePlusConcatenation": {"epochs": 100, "expert_lr": 1e-4, "fusion_lr": 1e-3, "augmentation": "strong"},
    "averagePlusTransformerBase": {"epochs": 120, "expert_lr": 5e-5, "fusion_lr": 2e-4, "augmentation": "strong"},
}
"""What the guides give for each rule, or for the one it is made of: the value of a key that is left at null."""

FUSIONS = free_names("fusion rule", GUIDE_DEFAULTS)
"""The fusion rules; their modules are in `certifuse.models.images.fusion`, under the same names."""

FusionName: Any = Literal[FUSIONS]
"""The name of a fusion rule; anything else is refused when settings are read."""

PLACEHOLDERS = ("architecture", "fusion", "lambda", "seed")
"""What `initial_components` may name, so that each cell continues from its own."""


def _only_known_placeholders(template: str) -> str:
    if not re.fullmatch(rf"([^{{}}\x00-\x1f]|{{({'|'.join(PLACEHOLDERS)})}})+", template):
        allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise ValueError(f"expected a directory with no placeholders but {allowed}")
    return template


class FusionModuleSettings(Settings):
    """The shape of the fusion module."""

    input_dim: Count | None = Field(
        default=None, description="Project each expert's feature to this size first; null: use the feature as it is."
    )
    hidden_dim: Count | None = Field(
        default=None, description="Hidden size of the module; null: the size of one (projected) feature."
    )
    dropout: Probability = Field(default=0.2, description="Dropout inside the fusion module.")
    attention_heads: Count = Field(
        default=8, description="Heads of TransformerBase; the largest divisor of the feature size up to this is used."
    )
    cross_expert_attention: bool = Field(
        default=True, description="TransformerBase: tokens attend to other experts; off: each to itself only."
    )


class FusionTraining(FusionModuleSettings, Recipe):
    """Joint training of experts, fusion module and global head. A null takes the guides' value for the rule."""

    epochs: Count | None = Field(default=None, description="Passes over the fusion images; null: the rule's own.")
    batch_size: Count = Field(default=128, description="Images per step.")
    expert_lr: Positive | None = Field(default=None, description="Base rate of the experts; null: the rule's own.")
    fusion_lr: Positive | None = Field(
        default=None, description="Base rate of fusion module and global head; null: the rule's own."
    )
    dimension_adaptive_lr: bool = Field(
        default=True, description="Feature size < 100: rates x 1.3 (experts) and x 1.2; > 1000: x 0.7 and x 0.8."
    )
    optimizer: Literal["adamw", "sgd", "muon"] = Field(
        default="adamw",
        description="`sgd`: Nesterov, momentum 0.9; `muon`: filters and matrices by Muon, all else as section `muon` "
        "says.",
    )
    weight_decay: NonNegative = Field(default=1e-4, description="Weight decay of every group.")
    expert_schedule: Schedule = Field(default="cosine_warm_restarts", description="Rate of the experts.")
    fusion_schedule: Schedule = Field(default="cosine", description="Rate of fusion module and global head.")
    min_lr_fraction: Fraction = Field(default=0.1, description="Lowest rate of a schedule, as part of its base.")
    expert_accumulation_steps: Count = Field(default=2, description="Batches per optimiser step of the experts.")
    expert_clip_norm: Positive | None = Field(default=5.0, description="Gradient norm limit, all experts together.")
    fusion_clip_norm: Positive | None = Field(default=1.0, description="Gradient norm limit, fusion and global head.")
    distillation_weight: NonNegative = Field(default=0.1, description="Weight of distillation between experts.")
    distillation_temperature: Positive = Field(default=2.0, description="Softmax temperature of the distillation.")
    label_smoothing: Probability = Field(default=0.1, description="Mass moved from the label to all classes.")
    augmentation: Augmentation | None = Field(
        default=None, description="Name of a recipe, or its keys; null: the rule's own."
    )
    early_stopping_patience: Count | None = Field(
        default=None, description="Stop after this many epochs without a better validation accuracy; null: never."
    )
    save_every: Count = Field(default=10, description="Epochs between stored sets of components.")
    initial_components: Annotated[str, AfterValidator(_only_known_placeholders)] | None = Field(
        default=None,
        description="Continue from the components in this directory (placeholders {architecture}, {fusion}, {lambda}, "
        "{seed}); null: start from the pre-trained experts.",
    )


ATTENTION_RULES = ("TransformerBase", "averagePlusTransformerBase")
ATTENTION = ("attention_heads", "cross_expert_attention")
"""Keys with a meaning for these rules alone."""

FUSION_ONLY = (
    *FusionModuleSettings.model_fields,
    "fusion_lr",
    "fusion_schedule",
    "fusion_clip_norm",
    "initial_components",
)
"""Keys without a meaning for experts that are trained beside each other and not fused."""

IN_SUBSPACE = (*FusionModuleSettings.model_fields, "distillation_weight", "distillation_temperature", "label_smoothing")
"""Keys with a meaning in a subspace: those of the fusion module and of the loss."""

FusionOverrides: Any = overrides_of(FusionTraining)


class FusionSettings(FusionTraining):
    """Fusion training, with overrides per fusion rule."""

    per_fusion: dict[FusionName, FusionOverrides] = Field(
        default={}, description="Keys that differ for one fusion rule."
    )

    @kept
    def resolved(self, fusion: str) -> FusionTraining:
        """The training of one rule: `per_fusion` wins over the section's keys, which win over the guides' values.

        Keys of another rule are at their defaults, so that a change of them is none of this one.
        """
        base = FusionTraining.model_validate_json(self.model_dump_json(exclude={"per_fusion"}))
        chosen = overridden(base, self.per_fusion.get(fusion))
        fixed = {key: value for key, value in GUIDE_DEFAULTS[fusion].items() if getattr(chosen, key) is None}
        fixed |= chosen.unread_keys(chosen.optimizer)
        if fusion not in ATTENTION_RULES:
            fixed |= {key: getattr(FusionModuleSettings(), key) for key in ATTENTION}
        return overridden(chosen, None, **fixed)

    @kept
    def resolved_without_fusion(self, fusion: str) -> FusionTraining:
        """The training of one rule for experts that are not fused: `FUSION_ONLY` keys are at the rule's own values."""
        own = FusionSettings().resolved(fusion).plain()
        return overridden(self.resolved(fusion), None, **{key: own[key] for key in FUSION_ONLY})

    @kept
    def resolved_in_subspace(self, fusion: str) -> FusionTraining:
        """Module and loss of one rule for training in a subspace: all keys but `IN_SUBSPACE` are at the rule's own."""
        chosen = self.resolved(fusion).plain()
        return overridden(FusionSettings().resolved(fusion), None, **{key: chosen[key] for key in IN_SUBSPACE})
