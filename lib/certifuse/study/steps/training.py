"""The steps that train networks on images and score them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from certifuse.study.cells import WIDER, Cell, Family, Finetuned, Member
from certifuse.study.settings.evaluation import EvaluationSettings, ExecutionSettings
from certifuse.study.settings.fusion import FusionTraining
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.study.steps.step import (
    NO_OPTION,
    CellNames,
    CellStep,
    FamilyNames,
    FinetunedNames,
    MemberNames,
    StepFiles,
)

if TYPE_CHECKING:
    from certifuse.study.study import Study


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class ImageTrainingFiles(TrainingFiles):
    """A training on images."""

    images: Path
    splits: Path


def architecture_of(study: "Study", name: str, member: str | None = None) -> dict[str, Any]:
    """The name of an architecture and its sizes in a study; a wider model has sizes of its own."""
    sizes = study.baselines.wider_single if member == WIDER else study.architectures
    return {"name": name, **getattr(sizes, name).plain()}


class PretrainExpert(CellStep):
    """Train one expert on its share of the pool, or a single model on all training images."""

    rule: ClassVar[str] = "pretrain_expert"
    cell: MemberNames
    architecture: dict[str, Any]
    training: ExpertTraining
    execution: ExecutionSettings

    @dataclass(frozen=True, kw_only=True)
    class Files(ImageTrainingFiles):
        """`output` is the component."""

        output: Path

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """One member of one family."""
        name = names["architecture"]
        return cls(
            cell=Member.of(names),
            architecture=architecture_of(study, name, names["member"]),
            training=study.pretraining.resolved(name),
            execution=study.execution,
        )


@dataclass(frozen=True, kw_only=True)
class JointTrainingFiles(ImageTrainingFiles):
    """`experts` are those that it starts from; earlier components are named by the settings."""

    experts: tuple[Path, ...]


class JointTraining(CellStep):
    """Settings of a training that starts from the experts."""

    architecture: dict[str, Any]
    training: FusionTraining
    execution: ExecutionSettings


class TrainFusion(JointTraining):
    """Train experts, fusion module and global head of one cell together."""

    rule: ClassVar[str] = "train_fusion"
    Files: ClassVar[type[StepFiles]] = JointTrainingFiles
    cell: CellNames

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """One cell of the grid."""
        return cls(
            cell=Cell.of(names),
            architecture=architecture_of(study, names["architecture"]),
            training=study.fusion.resolved(names["fusion"]),
            execution=study.execution,
        )


class FinetuneExperts(JointTraining):
    """Train the experts of a family on the fusion images beside each other: the control of every cell.

    Epochs, rates and augmentation are those of one rule, `baselines.finetuned_as`.
    """

    rule: ClassVar[str] = "finetune_experts"
    Files: ClassVar[type[StepFiles]] = JointTrainingFiles
    cell: FinetunedNames

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """The control of one family."""
        return cls(
            cell=Finetuned.of(names),
            architecture=architecture_of(study, names["architecture"]),
            training=study.fusion.resolved_without_fusion(study.baselines.finetuned_as),
            execution=study.execution,
        )


class EvaluateFusion(CellStep):
    """Score one cell on the test images: the fused network, its experts, and what they give together."""

    rule: ClassVar[str] = "evaluate_fusion"
    cell: CellNames
    evaluation: EvaluationSettings
    execution: ExecutionSettings

    @dataclass(frozen=True, kw_only=True)
    class Files(StepFiles):
        """`components` is the directory of the trained cell, `output` that of the scores."""

        images: Path
        splits: Path
        components: Path
        output: Path

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """One cell of the grid."""
        return cls(cell=Cell.of(names), evaluation=study.evaluation, execution=study.execution)


class EvaluateBaselines(CellStep):
    """Score what fusion is measured against: the experts before and after fine-tuning, combined, and single models."""

    rule: ClassVar[str] = "evaluate_baselines"
    cell: FamilyNames
    evaluation: EvaluationSettings
    execution: ExecutionSettings

    @dataclass(frozen=True, kw_only=True)
    class Files(StepFiles):
        """Components; `output` is the directory of the scores. What a study does not train is empty."""

        images: Path
        splits: Path
        experts: tuple[Path, ...]
        finetuned: tuple[Path, ...] = ()
        single: tuple[Path, ...] = ()
        wider: tuple[Path, ...] = ()
        output: Path

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """One family of the grid."""
        return cls(cell=Family.of(names), evaluation=study.evaluation, execution=study.execution)
