"""The common part of every step: settings that are one text, a cell, files, and modules found by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import PlainSerializer, PlainValidator

from certifuse.base.digests import canonical_json
from certifuse.base.records import Settings
from certifuse.study.cells import Cell, Family, Finetuned, Member, SubloraCell, SubspaceCell

if TYPE_CHECKING:
    from certifuse.study.study import Study


def _names(cell: Any) -> dict[str, Any]:
    names: dict[str, Any] = cell.names()
    return names


def _either(kind: Any) -> PlainValidator:
    """Reads a cell from its names, or takes it as it is."""

    def read(value: Any) -> Any:
        try:
            return value if isinstance(value, kind) else kind.of(value)
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"expected the names of a {kind.__name__}, found {value!r}") from None

    return PlainValidator(read)


AS_NAMES = PlainSerializer(_names)
"""Cells stand in settings by their names."""
CellNames = Annotated[Cell, _either(Cell), AS_NAMES]
FamilyNames = Annotated[Family, _either(Family), AS_NAMES]
FinetunedNames = Annotated[Finetuned, _either(Finetuned), AS_NAMES]
MemberNames = Annotated[Member, _either(Member), AS_NAMES]
SubspaceNames = Annotated[SubspaceCell, _either(SubspaceCell), AS_NAMES]
SubloraNames = Annotated[SubloraCell, _either(SubloraCell), AS_NAMES]


NO_OPTION = {"option": False}
"""Metadata of a field that is no option of the script."""


@dataclass(frozen=True, kw_only=True)
class StepFiles:
    """The files of a job, one option of its script each. `source` is the fingerprint of the source that runs."""

    source: str


class Step(Settings):
    """The settings of one job: all that its outputs depend on beside its input files and its source."""

    rule: ClassVar[str]
    """The rule of the workflow."""

    Files: ClassVar[type[StepFiles]]
    """What its script is handed beside the settings."""

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """The job of these wildcards in a study."""
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        """The names that tell this job from others of its rule: those of its wildcards."""
        return {}

    def modules(self) -> tuple[str, ...]:
        """The modules of the library that the job finds by name: they count in its source fingerprint."""
        return ()

    @property
    def text(self) -> str:
        """The settings as one text: equal ones are equal byte for byte."""
        return canonical_json(self.plain())


class CellStep(Step):
    """A step of one cell, which tells its jobs apart and names the modules of its network."""

    cell: Any

    def identity(self) -> dict[str, Any]:
        """The names of the cell."""
        names: dict[str, Any] = self.cell.names()
        return names

    def modules(self) -> tuple[str, ...]:
        """Architecture and fusion rule, as far as the cell has them."""
        architecture = self.cell.names().get("architecture")
        found = [] if architecture is None else [f"certifuse.models.images.architectures.{architecture}"]
        fused = isinstance(self.cell, Cell | SubspaceCell)
        return (*found, f"certifuse.models.images.fusion.{self.cell.fusion}") if fused else tuple(found)
