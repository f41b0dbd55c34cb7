"""The common part of every step: settings that are one text, a cell, files, and modules found by name."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, dataclass_transform

from certifuse.base.digests import canonical_json
from certifuse.base.records import Settings
from certifuse.study.cells import Cell

if TYPE_CHECKING:
    from certifuse.study.study import Study


NO_OPTION = {"option": False}
"""Metadata of a field that is no option of the script."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
@dataclass(frozen=True, kw_only=True)
class StepFiles:
    """The files of a job, one option of its script each; every subclass is such a dataclass too.

    `source` is the fingerprint of the source that runs.
    """

    source: str

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)


class ImageFiles(StepFiles):
    """A job that reads the images of a study and how they are divided."""

    images: Path
    splits: Path


class From(NamedTuple):
    """Where a field of a step comes from: a key of the study, such as `certificates.delta`, or a function of the study
    and the wildcards of the job.
    """

    origin: "str | Callable[[Study, Mapping[str, Any]], Any]"


class Step(Settings):
    """The settings of one job: all that its outputs depend on beside its input files and its source.

    A field comes from where `From` in its annotation says, else from the wildcard or the section of its own name.
    """

    rule: ClassVar[str]
    """The rule of the workflow: the name of the class, as in `train_fusion`."""

    Files: ClassVar[type[StepFiles]]
    """What its script is handed beside the settings."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.rule = re.sub(r"(?<!^)([A-Z])", r"_\1", cls.__name__).lower()

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """The job of these wildcards in a study."""
        values = {}
        for name, described in cls.model_fields.items():
            origin = next((told.origin for told in described.metadata if isinstance(told, From)), name)
            if callable(origin):
                values[name] = origin(study, names)
            else:
                values[name] = names[name] if origin == name and name in names else attrgetter(origin)(study)
        return cls(**values)

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

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """The job of these wildcards in a study; they are the names of its cell."""
        return super().of(study, {**names, "cell": names})

    def identity(self) -> dict[str, Any]:
        """The names of the cell."""
        names: dict[str, Any] = self.cell.names()
        return names

    def modules(self) -> tuple[str, ...]:
        """Architecture and fusion rule, as far as the cell has them."""
        architecture = self.cell.names().get("architecture")
        found = [] if architecture is None else [f"certifuse.models.images.architectures.{architecture}"]
        fused = isinstance(self.cell, Cell)
        return (*found, f"certifuse.models.images.fusion.{self.cell.fusion}") if fused else tuple(found)
