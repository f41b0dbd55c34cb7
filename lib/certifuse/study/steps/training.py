"""The steps that train networks on images and score them."""

import time
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from certifuse.study.cells import WIDER, Cell, Family, Finetuned, Member
from certifuse.study.settings.evaluation import EvaluationSettings, ExecutionSettings
from certifuse.study.settings.fusion import FusionTraining
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.study.steps.step import NO_OPTION, CellStep, From, ImageFiles, StepFiles

if TYPE_CHECKING:
    from certifuse.study.study import Study


class TrainingFiles(StepFiles):
    """Files that every training writes, how often it stores its state, and how long it may run.

    `began_s` (of `time.monotonic`) is the start of the process.
    """

    manifest: Path
    log_file: Path
    resume_dir: Path
    telemetry_dir: Path
    save_interval_s: float | None = None
    time_budget_min: float | None = None
    began_s: float = field(default_factory=time.monotonic, metadata=NO_OPTION)


class ImageTrainingFiles(TrainingFiles, ImageFiles):
    """A training on images."""


def _architecture(study: "Study", names: Mapping[str, Any]) -> dict[str, Any]:
    """The name of an architecture and its sizes in a study; a wider model has sizes of its own."""
    name = names["architecture"]
    sizes = study.baselines.wider_single if names.get("member") == WIDER else study.architectures
    return {"name": name, **getattr(sizes, name).plain()}


class PretrainExpert(CellStep):
    """Train one expert on its share of the pool, or a single model on all training images."""

    cell: Member
    architecture: Annotated[dict[str, Any], From(_architecture)]
    training: Annotated[ExpertTraining, From(lambda study, names: study.pretraining.resolved(names["architecture"]))]
    execution: ExecutionSettings

    class Files(ImageTrainingFiles):
        """`output` is the component."""

        output: Path


class JointTrainingFiles(ImageTrainingFiles):
    """`experts` are those that it starts from; earlier components are named by the settings."""

    experts: tuple[Path, ...]


class TrainFusion(CellStep):
    """Train experts, fusion module and global head of one cell together."""

    Files = JointTrainingFiles
    cell: Cell
    architecture: Annotated[dict[str, Any], From(_architecture)]
    training: Annotated[FusionTraining, From(lambda study, names: study.fusion.resolved(names["fusion"]))]
    execution: ExecutionSettings


def _finetuning(study: "Study", _: Mapping[str, Any]) -> FusionTraining:
    return study.fusion.resolved_without_fusion(study.baselines.finetuned_as)


class FinetuneExperts(CellStep):
    """Train the experts of a family on the fusion images beside each other: the control of every cell.

    Epochs, rates and augmentation are those of one rule, `baselines.finetuned_as`.
    """

    Files = JointTrainingFiles
    cell: Finetuned
    architecture: Annotated[dict[str, Any], From(_architecture)]
    training: Annotated[FusionTraining, From(_finetuning)]
    execution: ExecutionSettings


class EvaluateFusion(CellStep):
    """Score one cell on the test images: the fused network, its experts, and what they give together."""

    cell: Cell
    evaluation: EvaluationSettings
    execution: ExecutionSettings

    class Files(ImageFiles):
        """`components` is the directory of the trained cell, `output` that of the scores."""

        components: Path
        output: Path


class EvaluateBaselines(CellStep):
    """Score what fusion is measured against: the experts before and after fine-tuning, combined, and single models."""

    cell: Family
    evaluation: EvaluationSettings
    execution: ExecutionSettings

    class Files(ImageFiles):
        """Components; `output` is the directory of the scores. What a study does not train is empty."""

        experts: tuple[Path, ...]
        finetuned: tuple[Path, ...] = ()
        single: tuple[Path, ...] = ()
        wider: tuple[Path, ...] = ()
        output: Path
