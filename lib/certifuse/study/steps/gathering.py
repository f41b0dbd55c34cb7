"""The steps that gather the results of a study. Their settings list what is expected, so that a missing one is seen."""

from pathlib import Path
from typing import Annotated

from certifuse.study.cells import Cell, SubloraCell, SubspaceCell
from certifuse.study.steps.step import From, Step, StepFiles


class GatheringFiles(StepFiles):
    """The results directory, which is read and written."""

    results_dir: Path


class Gathering(Step):
    """A step that gathers."""

    Files = GatheringFiles


class Gather(Gathering):
    """Gather the scores, logs and costs of all cells. `trainings` are the others: (architecture, seed, training)."""

    cells: tuple[Cell, ...]
    trainings: Annotated[tuple[tuple[str, int, str], ...], From("family_trainings")]


class CompareCells(Gathering):
    """Compare every cell with the averages of experts that were never fused, on the same test images."""

    cells: tuple[Cell, ...]
    confidence: Annotated[float, From("statistics.confidence")]
    bootstrap_samples: Annotated[int, From("statistics.bootstrap_samples")]
    bootstrap_seed: Annotated[int, From("statistics.seed")]


class GatherCertificates(Gathering):
    """Gather the certificates of image classifiers: `subspace` at every number of levels, and `joint` ones."""

    scheme: Annotated[str, From("splits.scheme")]
    levels: Annotated[tuple[int, ...], From("certificates.levels")]
    subspace: Annotated[tuple[SubspaceCell, ...], From("subspace_cells")]
    joint: Annotated[tuple[Cell, ...], From("certified_cells")]


class GatherSublora(Gathering):
    """Gather the certificates of language models: `cells` at every number of levels, and tables of counts."""

    levels: Annotated[tuple[int, ...], From("language.levels")]
    cells: Annotated[tuple[SubloraCell, ...], From("sublora_cells")]
    ngrams: Annotated[tuple[str, ...], From("language.ngrams")]


class GatherGates(Gathering):
    """Gather the splits that mode `learned` found."""

    cells: Annotated[tuple[SubloraCell, ...], From("learned_cells")]
