"""The steps that read images and documents and divide the images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from certifuse.base.records import without_permission
from certifuse.study.settings.data import SplitSettings, image_source
from certifuse.study.steps.step import Step, StepFiles

if TYPE_CHECKING:
    from certifuse.study.study import Study


class PrepareImages(Step):
    """Read the images of a study from their source. `data` is the section, checked by the source's own model."""

    rule: ClassVar[str] = "prepare_images"
    data: dict[str, Any]

    @dataclass(frozen=True, kw_only=True)
    class Files(StepFiles):
        """`download` 1 permits that what is absent is fetched."""

        download: int = 0
        output: Path

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """The images of a study."""
        assert study.data is not None, "the rules of images are for studies with a section data"
        return cls(data=without_permission(study.data))

    def modules(self) -> tuple[str, ...]:
        """The source."""
        return (f"certifuse.data.images.sources.{image_source(self.data['source'])}",)


class SplitImages(Step):
    """Divide the training images among experts, fusion, validation and certificate."""

    rule: ClassVar[str] = "split_images"
    splits: SplitSettings

    @dataclass(frozen=True, kw_only=True)
    class Files(StepFiles):
        """The image set; where the index sets and their summary go."""

        images: Path
        output: Path
        summary: Path

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """The split of a study."""
        return cls(splits=study.splits)


class PrepareCorpus(Step):
    """Read the documents of a study into tokens. `corpus` is the section, checked by the source's own model."""

    rule: ClassVar[str] = "prepare_corpus"
    corpus: dict[str, Any]

    @dataclass(frozen=True, kw_only=True)
    class Files(StepFiles):
        """`download` 1 permits that what is absent is fetched."""

        download: int = 0
        directory: Path

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """The documents of a study."""
        return cls(corpus=without_permission(study.language.corpus))

    def modules(self) -> tuple[str, ...]:
        """The source."""
        return (f"certifuse.data.text.sources.{self.corpus['source']}",)
