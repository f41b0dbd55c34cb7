"""The steps that train and certify language models."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from certifuse.study.cells import SubloraCell
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.language_models import LanguageModelSettings
from certifuse.study.settings.sublora import SubloraBounds, SubloraTraining
from certifuse.study.steps.step import CellStep, Step, StepFiles, SubloraNames
from certifuse.study.steps.training import TrainingFiles

if TYPE_CHECKING:
    from certifuse.study.study import Study


class TrainSublora(CellStep):
    """Train one language model in a subspace, at full precision and then quantised to every number of levels."""

    rule: ClassVar[str] = "train_sublora"
    cell: SubloraNames
    model: LanguageModelSettings
    levels: tuple[int, ...]
    training: SubloraTraining
    execution: ExecutionSettings

    @dataclass(frozen=True, kw_only=True)
    class Files(TrainingFiles):
        """`corpus` is the directory of the documents, `learned` the weights of mode `learned` that a null needs."""

        corpus: Path
        learned: tuple[Path, ...] = ()

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """One training. What the gates are set to concerns the modes that have some."""
        language = study.language
        return cls(
            cell=SubloraCell.of(names),
            model=language.model,
            levels=language.levels,
            training=language.training.for_mode(names["mode"]),
            execution=study.execution,
        )


class CertifySublora(CellStep):
    """Code one training at one number of levels, decode it, and bound its loss on new documents."""

    rule: ClassVar[str] = "certify_sublora"
    cell: SubloraNames
    cell_levels: int
    model: LanguageModelSettings
    projector: Literal["kronecker", "dense", "sparse"]
    codebook: Literal["free", "symmetric", "uniform"]
    bounds: SubloraBounds
    validation_documents: int
    execution: ExecutionSettings

    @dataclass(frozen=True, kw_only=True)
    class Files(StepFiles):
        """The trained numbers, the directory of the documents, and that of the certificate."""

        weights: Path
        corpus: Path
        output: Path

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """One training at one number of levels."""
        language = study.language
        return cls(
            cell=SubloraCell.of(names),
            cell_levels=int(names["levels"]),
            model=language.model,
            projector=language.training.projector,
            codebook=language.training.codebook,
            bounds=language.bounds,
            validation_documents=language.training.validation_documents,
            execution=study.execution,
        )

    def identity(self) -> dict[str, Any]:
        """d, mode, seed, levels."""
        return self.cell.names() | {"levels": self.cell_levels}


class CertifyNgram(Step):
    """Code a table of token counts, decode it, and bound its loss on new documents."""

    rule: ClassVar[str] = "certify_ngram"
    ngram: str
    bounds: SubloraBounds
    validation_documents: int

    @dataclass(frozen=True, kw_only=True)
    class Files(StepFiles):
        """The directory of the documents, and that of the certificate."""

        corpus: Path
        output: Path

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """One table."""
        language = study.language
        documents = language.training.validation_documents
        return cls(ngram=names["ngram"], bounds=language.bounds, validation_documents=documents)

    def identity(self) -> dict[str, Any]:
        """The name of the table."""
        return {"ngram": self.ngram}
