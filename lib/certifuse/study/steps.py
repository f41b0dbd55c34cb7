"""The settings of every step."""

from collections.abc import Iterable
from typing import Any, Literal

from certifuse.base.records import Settings
from certifuse.study import paths
from certifuse.study.cells import CELL, Cell
from certifuse.study.settings.certificates import SubspaceTraining
from certifuse.study.settings.corpora import CorpusSettings
from certifuse.study.settings.data import DataSettings
from certifuse.study.settings.evaluation import EvaluationSettings, ExecutionSettings, StatisticsSettings
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.settings.fusion import FusionTraining
from certifuse.study.settings.grid import Block
from certifuse.study.settings.language_models import LanguageModelSettings
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.study.settings.sublora import SubloraBounds, SubloraTraining


class GridStep(Settings):
    """The grid, so that a missing cell is seen."""

    grid: tuple[Block, ...]

    def cells(self) -> list[Cell]:
        """Every cell once."""
        return list(dict.fromkeys(cell for block in self.grid for cell in block.cells()))


class CertifyJointStep(Settings):
    """The settings of this step."""

    delta: float
    levels: int
    threads: int


class CertifyNgramStep(Settings):
    """The settings of this step."""

    bounds: SubloraBounds
    validation_documents: int


class CertifySubloraStep(Settings):
    """The settings of this step."""

    model: LanguageModelSettings
    projector: Literal["kronecker", "dense", "sparse"]
    codebook: Literal["free", "symmetric", "uniform"]
    bounds: SubloraBounds
    validation_documents: int
    execution: ExecutionSettings


class CertifyStep(Settings):
    """The settings of this step. `fusion` shapes the module and the loss."""

    delta: float
    levels: tuple[int, ...]
    training: SubspaceTraining
    fusion: FusionTraining
    execution: ExecutionSettings


class CompareStep(GridStep):
    """The grid and the statistics."""

    statistics: StatisticsSettings


class EvaluationStep(Settings):
    """The settings of an evaluation step."""

    evaluation: EvaluationSettings
    execution: ExecutionSettings


class GatherStep(GridStep):
    """The grid, and what is trained beside it: (architecture, seed, training)."""

    trainings: tuple[tuple[str, int, str], ...]


class GatherCertificatesStep(Settings):
    """Which certificates are expected. `subspace` and `joint` are cells, the former with d."""

    scheme: str
    levels: tuple[int, ...]
    subspace: tuple[tuple[str, str, str, int, int], ...]
    joint: tuple[tuple[str, str, str, int], ...]

    def directories(self) -> dict[str, tuple[Any, ...]]:
        """Where each certificate is expected, and its names: cell, kind, d and levels."""
        expected: dict[str, tuple[Any, ...]] = {}
        for cell in self.joint:
            expected[_joint_directory(cell)] = (*cell, "joint", None, None)
        for *names, dim in self.subspace:
            for levels in self.levels:
                expected[_subspace_directory(names, dim, levels)] = (*names, "subspace", dim, levels)
        return expected


def _joint_directory(cell: Iterable[Any]) -> str:
    return paths.JOINT_CERTIFICATE_DIR.format(**_names(cell))


def _subspace_directory(cell: Iterable[Any], dim: int, levels: int) -> str:
    directory = paths.SUBSPACE_DIR.format(**_names(cell), dim=dim)
    return f"{directory}/{paths.LEVELS_DIR.format(levels=levels)}"


def _names(cell: Iterable[Any]) -> dict[str, Any]:
    return dict(zip(("architecture", "fusion", "lam", "seed"), cell, strict=True))


class GatherGatesStep(Settings):
    """Which trainings are expected: cells (d, mode, seed)."""

    cells: tuple[tuple[int, str, int], ...]


class GatherSubloraStep(Settings):
    """Which certificates are expected: cells (d, mode, seed) at every number of levels, and tables of counts."""

    levels: tuple[int, ...]
    cells: tuple[tuple[int, str, int], ...]
    ngrams: tuple[str, ...]

    def directories(self) -> dict[str, dict[str, Any]]:
        """Where each certificate is expected, and its names."""
        found = {}
        for cell in self.cells:
            for levels in self.levels:
                names = {**dict(zip(CELL, cell, strict=True)), "levels": levels}
                found[paths.SUBLORA_CERTIFICATE_DIR.format(**names)] = {"model": "sublora", **names}
        for name in self.ngrams:
            found[paths.NGRAM_DIR.format(ngram=name)] = {"model": "ngram", "mode": name}
        return found


class PrepareCorpusStep(Settings):
    """The settings of this step."""

    corpus: CorpusSettings


class PrepareStep(Settings):
    """The settings of this step."""

    data: DataSettings


class PretrainStep(Settings):
    """The settings of this step; `architecture` holds the name and the sizes."""

    architecture: dict[str, Any]
    training: ExpertTraining
    execution: ExecutionSettings


class FusionStep(Settings):
    """The settings of this step; `architecture` holds the name and the sizes."""

    architecture: dict[str, Any]
    training: FusionTraining
    execution: ExecutionSettings


class TrainSubloraStep(Settings):
    """The settings of this step."""

    model: LanguageModelSettings
    levels: tuple[int, ...]
    training: SubloraTraining
    execution: ExecutionSettings


class TablesStep(Settings):
    """The settings of this step."""

    study: str
    statistics: StatisticsSettings


class FigureStep(Settings):
    """The settings of one figure: the study's name, the figure's own style, and the statistics."""

    study: str
    style: FigureSettings
    statistics: StatisticsSettings
