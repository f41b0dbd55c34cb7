"""Scores of finished models and comparisons between them; how every step computes."""

from typing import Any, Literal

from pydantic import Field

from certifuse.base.records import Count, Index, NonNegative, OpenFraction, Settings, added
from certifuse.study.settings.superclasses import SUPERCLASSES

SuperclassesName: Any = Literal[tuple(SUPERCLASSES)]


class EvaluationSettings(Settings):
    """Scores of one cell, and the paired statistics between cells."""

    batch_size: Count = Field(default=512, description="Images per forward pass.")
    calibration_bins: Count = Field(default=15, description="Equal-width confidence bins of ECE and diagrams.")
    superclasses: SuperclassesName | None = Field(
        default=None,
        description="The published grouping of the classes to score by too (`cifar100`: its 20 superclasses); null: "
        "none.",
    )
    two_views: bool = added(
        False,
        "Score the mean of the probabilities of an image and of its mirror image too, as predictors of their own whose "
        "names end in `two_views`.",
    )
    stacking_l2: tuple[NonNegative, ...] = Field(
        default=(1.0, 0.1, 0.01, 0.001),
        min_length=1,
        description="Penalties that draw the stacked linear classifier towards the average of the experts; validation "
        "images choose among them.",
    )


class StatisticsSettings(Settings):
    """Intervals and tests."""

    confidence: OpenFraction = Field(default=0.95, description="Confidence of every interval.")
    bootstrap_samples: Count = Field(default=2000, description="Resamples of the test images.")
    seed: Index = Field(default=0, description="Seed of the bootstrap.")
    convergence_tolerance: NonNegative = Field(
        default=0.005, description="Converged: first epoch whose validation accuracy is this close to the best."
    )


class ExecutionSettings(Settings):
    """`auto` is decided from the device alone, never by timing; the manifest says what ran."""

    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="`auto`: CUDA where there is one.")
    threads: Count = Field(
        default=1,
        description=(
            "CPU threads of a step. Sums depend on it, so it is never taken from the machine. "
            "Experts without dropout train side by side on them."
        ),
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="`auto`: bf16 autocast where the device computes in bf16, else fp32."
    )
    channels_last: Literal["auto", "on", "off"] = Field(default="auto", description="`auto`: on.")
    compile: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="torch.compile in training. `auto`: on for CUDA with a C compiler, off for the CPU, where it "
        "needs a C++ compiler and time to compile, and makes a step of small networks a fifth faster.",
    )
    deterministic: bool = Field(default=True, description="Deterministic kernels only.")
