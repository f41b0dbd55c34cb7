"""The steps that read images and documents and divide the images."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from certifuse.base.records import without_permission
from certifuse.study.settings.data import SplitSettings, image_source
from certifuse.study.steps.step import From, Step, StepFiles

if TYPE_CHECKING:
    from certifuse.study.study import Study


def _images(study: "Study", _: Mapping[str, Any]) -> dict[str, Any]:
    assert study.data is not None, "the rules of images are for studies with a section data"
    return without_permission(study.data)


class PrepareImages(Step):
    """Read the images of a study from their source. `data` is the section, checked by the source's own model."""

    data: Annotated[dict[str, Any], From(_images)]

    class Files(StepFiles):
        """`download` 1 permits that what is absent is fetched."""

        download: int = 0
        output: Path

    def modules(self) -> tuple[str, ...]:
        """The source."""
        return (f"certifuse.data.images.sources.{image_source(self.data['source'])}",)


class SplitImages(Step):
    """Divide the training images among experts, fusion, validation and certificate."""

    splits: SplitSettings

    class Files(StepFiles):
        """The image set; where the index sets and their summary go."""

        images: Path
        output: Path
        summary: Path


class PrepareCorpus(Step):
    """Read the documents of a study into tokens. `corpus` is the section, checked by the source's own model."""

    corpus: Annotated[dict[str, Any], From(lambda study, _: without_permission(study.language.corpus))]

    class Files(StepFiles):
        """`download` 1 permits that what is absent is fetched."""

        download: int = 0
        directory: Path

    def modules(self) -> tuple[str, ...]:
        """The source."""
        return (f"certifuse.data.text.sources.{self.corpus['source']}",)
