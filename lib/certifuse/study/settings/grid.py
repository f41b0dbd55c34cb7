"""Cells to run: a list of blocks, each a full product."""

from collections.abc import Iterator
from itertools import product, starmap
from typing import Annotated, Any

from pydantic import AfterValidator, Field, create_model

from certifuse.base.records import Index, Seeds, Settings, distinct
from certifuse.study.cells import Cell
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS, ArchitectureName
from certifuse.study.settings.fusion import FusionName

LAMBDA_PATTERN = r"(0|[1-9][0-9]*)(\.[0-9]+)?"

Lambda = Annotated[str, Field(pattern=f"^{LAMBDA_PATTERN}$", max_length=20)]
Architectures = Annotated[tuple[ArchitectureName, ...], Field(min_length=1), AfterValidator(distinct)]
Fusions = Annotated[tuple[FusionName, ...], Field(min_length=1), AfterValidator(distinct)]
Lambdas = Annotated[tuple[Lambda, ...], Field(min_length=1), AfterValidator(distinct)]


class Block(Settings):
    """A full product of its four lists."""

    architectures: Architectures = Field(description="Expert architectures.")
    fusions: Fusions = Field(description="Fusion rules.")
    lambdas: Lambdas = Field(
        description='Weights of the individual losses, as quoted decimals ("0.5"): they name files, so no rounding.'
    )
    seeds: Seeds = Field(description="Seeds of experts and fusion training; the split has its own.")

    def cells(self) -> Iterator[Cell]:
        """Every cell of the block."""
        return starmap(Cell, product(self.architectures, self.fusions, self.lambdas, self.seeds))


WiderSettings: Any = create_model(
    "WiderSettings",
    __base__=Settings,
    __doc__="The size of a wider network of each architecture.",
    **{  # type: ignore[call-overload]
        name: (settings | None, Field(default=None, description=f"The wider {name}; null: none is trained."))
        for name, settings in ARCHITECTURE_SETTINGS.items()
    },
)


class BaselineSettings(Settings):
    """Controls beside the grid, trained per architecture."""

    single_model_seeds: Annotated[tuple[Index, ...], AfterValidator(distinct)] = Field(
        default=(0,), description="Seeds (of the grid) for which one model is trained on all training images."
    )
    wider_single: WiderSettings = Field(
        default=WiderSettings(),
        description="Sizes with about as many parameters as all experts together: for the same seeds one such model "
        "is trained on all training images too. Twice the width has about four times the parameters.",
    )
    finetuned_average: bool = Field(
        default=True,
        description="Fine-tune the experts on the fusion images without fusion, then average: the key control.",
    )
    finetuned_as: FusionName = Field(
        default="concatenation", description="The rule whose epochs, expert rates and augmentation the control uses."
    )
