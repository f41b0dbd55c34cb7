"""The steps that gather the results of a study. Their settings list what is expected, so that a missing one is seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from certifuse.study.steps.step import CellNames, Step, StepFiles, SubloraNames, SubspaceNames

if TYPE_CHECKING:
    from certifuse.study.study import Study


@dataclass(frozen=True, kw_only=True)
class GatheringFiles(StepFiles):
    """The results directory, which is read and written."""

    results_dir: Path


class Gather(Step):
    """Gather the scores, logs and costs of all cells. `trainings` are the others: (architecture, seed, training)."""

    rule: ClassVar[str] = "gather"
    Files: ClassVar[type[StepFiles]] = GatheringFiles
    cells: tuple[CellNames, ...]
    trainings: tuple[tuple[str, int, str], ...]

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """All of a study."""
        return cls(cells=study.cells, trainings=study.family_trainings)


class CompareCells(Step):
    """Compare every cell with the averages of experts that were never fused, on the same test images."""

    rule: ClassVar[str] = "compare_cells"
    Files: ClassVar[type[StepFiles]] = GatheringFiles
    cells: tuple[CellNames, ...]
    confidence: float
    bootstrap_samples: int
    bootstrap_seed: int

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """All cells of a study."""
        statistics = study.statistics
        return cls(
            cells=study.cells,
            confidence=statistics.confidence,
            bootstrap_samples=statistics.bootstrap_samples,
            bootstrap_seed=statistics.seed,
        )


class GatherCertificates(Step):
    """Gather the certificates of image classifiers: `subspace` at every number of levels, and `joint` ones."""

    rule: ClassVar[str] = "gather_certificates"
    Files: ClassVar[type[StepFiles]] = GatheringFiles
    scheme: str
    levels: tuple[int, ...]
    subspace: tuple[SubspaceNames, ...]
    joint: tuple[CellNames, ...]

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """All of a study."""
        return cls(
            scheme=study.splits.scheme,
            levels=study.certificates.levels,
            subspace=study.subspace_cells,
            joint=study.certified_cells,
        )


class GatherSublora(Step):
    """Gather the certificates of language models: `cells` at every number of levels, and tables of counts."""

    rule: ClassVar[str] = "gather_sublora"
    Files: ClassVar[type[StepFiles]] = GatheringFiles
    levels: tuple[int, ...]
    cells: tuple[SubloraNames, ...]
    ngrams: tuple[str, ...]

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """All of a study."""
        return cls(levels=study.language.levels, cells=study.sublora_cells, ngrams=study.language.ngrams)


class GatherGates(Step):
    """Gather the splits that mode `learned` found."""

    rule: ClassVar[str] = "gather_gates"
    Files: ClassVar[type[StepFiles]] = GatheringFiles
    cells: tuple[SubloraNames, ...]

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """All trainings of mode `learned`."""
        return cls(cells=study.learned_cells)
