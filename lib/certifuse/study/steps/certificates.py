"""The steps that certify image classifiers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from certifuse.study.cells import Cell, SubspaceCell
from certifuse.study.settings.certificates import SubspaceTraining
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.fusion import FusionTraining
from certifuse.study.steps.step import (
    CellNames,
    CellStep,
    StepFiles,
    SubspaceNames,
)
from certifuse.study.steps.training import ImageTrainingFiles

if TYPE_CHECKING:
    from certifuse.study.study import Study


class CertifySubspace(CellStep):
    """Train a fused network in a random subspace, and certify it at every number of levels.

    `fusion` shapes the module and the loss.
    """

    rule: ClassVar[str] = "certify_subspace"
    cell: SubspaceNames
    delta: float
    levels: tuple[int, ...]
    training: SubspaceTraining
    fusion: FusionTraining
    execution: ExecutionSettings

    @dataclass(frozen=True, kw_only=True)
    class Files(ImageTrainingFiles):
        """The experts with their manifests; below `output` goes one directory for each number of levels."""

        experts: tuple[Path, ...]
        expert_manifests: tuple[Path, ...]
        output: Path

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """One training in a subspace."""
        certificates = study.certificates
        return cls(
            cell=SubspaceCell.of(names),
            delta=certificates.delta,
            levels=certificates.levels,
            training=certificates.training,
            fusion=study.fusion.resolved_in_subspace(names["fusion"]),
            execution=study.execution,
        )


class CertifyJoint(CellStep):
    """Certify a jointly trained model: on images that it never touched, and by coding all of its weights."""

    rule: ClassVar[str] = "certify_joint"
    cell: CellNames
    delta: float
    levels: int
    threads: int

    @dataclass(frozen=True, kw_only=True)
    class Files(StepFiles):
        """The experts with their manifests, the directory of the trained cell, and that of the certificate."""

        images: Path
        splits: Path
        experts: tuple[Path, ...]
        expert_manifests: tuple[Path, ...]
        components: Path
        output: Path

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """One cell of the grid."""
        certificates = study.certificates
        threads = study.execution.threads
        return cls(cell=Cell.of(names), delta=certificates.delta, levels=certificates.joint_levels, threads=threads)
