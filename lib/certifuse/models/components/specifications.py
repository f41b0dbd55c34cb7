"""What a component file says of the module that it is for: checked, before anything is built from it."""

from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch
from pydantic import ConfigDict, Field
from torch import nn

from certifuse.base.errors import UserError
from certifuse.base.machine import require_at_most, require_memory
from certifuse.base.records import Settings
from certifuse.study.reading.problems import read_settings, refuse_unplain

Size = Annotated[int, Field(ge=1, le=1 << 20)]
"""Of a layer."""
Number = Annotated[int, Field(ge=1, le=1 << 10)]
"""Of networks."""
LARGEST_MODULE = 1 << 28
"""Numbers in one module that nothing but a few bytes describe: a gigabyte in single precision."""

ModuleType = TypeVar("ModuleType", bound=nn.Module)


class Specification(Settings):
    """Keys that this version does not know say nothing to it."""

    model_config = ConfigDict(**{**Settings.model_config, "extra": "ignore"})


class ArchitectureSpecification(Specification):
    """The name of an architecture; its sizes are read by the architecture."""

    name: str


class ExpertSpecification(Specification):
    """An expert."""

    kind: Literal["expert"]
    architecture: ArchitectureSpecification
    num_classes: Size
    in_channels: Size


class FusionSpecification(Specification):
    """A fusion module; its own keys are read by `FusionModuleSettings`."""

    kind: Literal["fusion"]
    fusion: str
    experts: Number
    feature_dim: Size
    module: dict[str, Any]


class HeadSpecification(Specification):
    """A global head."""

    kind: Literal["global_head"]
    input_dim: Size
    num_classes: Size


class CompleteSpecification(Specification):
    """All components of a network in one file, by name."""

    kind: Literal["complete"]
    parts: dict[str, dict[str, Any]]


MODELS: dict[str, type[Specification]] = {
    "expert": ExpertSpecification,
    "fusion": FusionSpecification,
    "global_head": HeadSpecification,
    "complete": CompleteSpecification,
}


def check_specification(spec: Mapping[str, Any], where: str) -> None:
    """UserError, a line for each problem that begins with `where`, for what no module can be built from."""
    kind = str(spec.get("kind"))
    if kind not in MODELS:
        raise UserError(f"{where}: kind: expected one of {', '.join(MODELS)}, found {kind!r}")
    refuse_unplain(spec, where)
    checked = read_settings(MODELS[kind], spec, where)
    if isinstance(checked, CompleteSpecification):
        for name, part in checked.parts.items():
            if part.get("kind") == kind:
                raise UserError(f"{where}: {name}: kind: expected that of a component, found {kind!r}")
            check_specification(part, f"{where}: {name}")


def outlined(what: str, build: Callable[[], ModuleType]) -> ModuleType:
    """The module that `build` would build, with shapes and without numbers: it takes no memory.

    Raises:
        UserError: its sizes are beyond any machine.
    """
    try:
        with torch.device("meta"):
            return build()
    except (RuntimeError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{what}: expected sizes that fit a machine, found others ({reason}): lower them") from None


def built(what: str, build: Callable[[], ModuleType], largest: int | None = None) -> ModuleType:
    """The module that `build` builds, once it is known to fit.

    Args:
        what: the beginning of the message.
        build: builds it.
        largest: the most numbers that it may have.

    Raises:
        UserError: it has more, or needs more memory than this machine has.
    """
    outline = outlined(what, build)
    tensors = list(chain(outline.parameters(), outline.buffers()))
    if largest is not None:
        require_at_most(what, "numbers", sum(tensor.numel() for tensor in tensors), largest)
    require_memory(what, sum(tensor.nbytes for tensor in tensors))
    return build()


def check_outline(module: nn.Module, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """UserError unless the tensors of a file are those of a module: names, shapes, and whether they are whole numbers.

    Precision is no part of it: numbers of any are read into the module's own.
    """
    expected, found = module.state_dict(), tensors
    for name in sorted(expected.keys() | found.keys()):
        own, there = _form(expected.get(name)), _form(found.get(name))
        if own[0] != there[0]:
            raise UserError(f"{path}: tensor {name}: expected shape {own[0]}, found {there[0]}")
        if own[1] != there[1]:
            raise UserError(f"{path}: tensor {name}: expected {own[1]}, found {there[1]}")


def _form(tensor: torch.Tensor | None) -> tuple[tuple[int, ...] | None, str]:
    if tensor is None:
        return None, ""
    kinds = "complex numbers" if tensor.is_complex() else "whole numbers"
    return tuple(tensor.shape), "real numbers" if tensor.is_floating_point() else kinds
