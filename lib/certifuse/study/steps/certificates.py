"""The steps that certify image classifiers."""

from pathlib import Path
from typing import Annotated

from certifuse.study.cells import Cell, SubspaceCell
from certifuse.study.settings.certificates import SubspaceTraining
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.fusion import FusionTraining
from certifuse.study.steps.step import CellStep, From, ImageFiles
from certifuse.study.steps.training import ImageTrainingFiles


class CertifySubspace(CellStep):
    """Train a fused network in a random subspace, and certify it at every number of levels.

    `fusion` shapes the module and the loss.
    """

    cell: SubspaceCell
    delta: Annotated[float, From("certificates.delta")]
    levels: Annotated[tuple[int, ...], From("certificates.levels")]
    training: Annotated[SubspaceTraining, From("certificates.training")]
    fusion: Annotated[FusionTraining, From(lambda study, names: study.fusion.resolved_in_subspace(names["fusion"]))]
    execution: ExecutionSettings

    class Files(ImageTrainingFiles):
        """The experts with their manifests; below `output` goes one directory for each number of levels."""

        experts: tuple[Path, ...]
        expert_manifests: tuple[Path, ...]
        output: Path


class CertifyJoint(CellStep):
    """Certify a jointly trained model: on images that it never touched, and by coding all of its weights."""

    cell: Cell
    delta: Annotated[float, From("certificates.delta")]
    levels: Annotated[int, From("certificates.joint_levels")]
    threads: Annotated[int, From("execution.threads")]

    class Files(ImageFiles):
        """The experts with their manifests, the directory of the trained cell, and that of the certificate."""

        experts: tuple[Path, ...]
        expert_manifests: tuple[Path, ...]
        components: Path
        output: Path
