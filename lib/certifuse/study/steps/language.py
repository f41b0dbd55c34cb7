"""The steps that train and certify language models."""

from pathlib import Path
from typing import Annotated, Any, Literal

from certifuse.study.cells import SubloraCell
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.language_models import LanguageModelSettings
from certifuse.study.settings.sublora import SubloraBounds, SubloraTraining
from certifuse.study.steps.step import CellStep, From, Step, StepFiles
from certifuse.study.steps.training import TrainingFiles


class TrainSublora(CellStep):
    """Train one language model in a subspace, at full precision and then quantised to every number of levels.

    What the gates are set to concerns the modes that have some.
    """

    cell: SubloraCell
    model: Annotated[LanguageModelSettings, From("language.model")]
    levels: Annotated[tuple[int, ...], From("language.levels")]
    training: Annotated[SubloraTraining, From(lambda study, names: study.language.training.for_mode(names["mode"]))]
    execution: ExecutionSettings

    class Files(TrainingFiles):
        """`corpus` is the directory of the documents, `learned` the weights of mode `learned` that a null needs."""

        corpus: Path
        learned: tuple[Path, ...] = ()


class CertifySublora(CellStep):
    """Code one training at one number of levels, decode it, and bound its loss on new documents."""

    cell: SubloraCell
    cell_levels: Annotated[int, From(lambda _, names: int(names["levels"]))]
    model: Annotated[LanguageModelSettings, From("language.model")]
    projector: Annotated[Literal["kronecker", "dense", "sparse"], From("language.training.projector")]
    codebook: Annotated[Literal["free", "symmetric", "uniform"], From("language.training.codebook")]
    bounds: Annotated[SubloraBounds, From("language.bounds")]
    validation_documents: Annotated[int, From("language.training.validation_documents")]
    execution: ExecutionSettings

    class Files(StepFiles):
        """The trained numbers, the directory of the documents, and that of the certificate."""

        weights: Path
        corpus: Path
        output: Path

    def identity(self) -> dict[str, Any]:
        """d, mode, seed, levels."""
        return super().identity() | {"levels": self.cell_levels}


class CertifyNgram(Step):
    """Code a table of token counts, decode it, and bound its loss on new documents."""

    ngram: str
    bounds: Annotated[SubloraBounds, From("language.bounds")]
    validation_documents: Annotated[int, From("language.training.validation_documents")]

    class Files(StepFiles):
        """The directory of the documents, and that of the certificate."""

        corpus: Path
        output: Path

    def identity(self) -> dict[str, Any]:
        """The name of the table."""
        return {"ngram": self.ngram}
