"""Experts as components: what describes one, and how it is built and read. Knows nothing of fusion."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from certifuse.component_files import Component, expect_kind, load_component
from certifuse.errors import UserError, nearest
from certifuse.models.architectures import build_architecture
from certifuse.models.blocks import ImageClassifier
from certifuse.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.settings.problems import read_settings

ModuleType = TypeVar("ModuleType", bound=nn.Module)


def expert_spec(architecture: dict[str, Any], num_classes: int, in_channels: int) -> dict[str, Any]:
    """The specification of an expert; `architecture` holds `name` and the sizes."""
    return {"kind": "expert", "architecture": architecture, "num_classes": num_classes, "in_channels": in_channels}


def build_expert(spec: dict[str, Any]) -> ImageClassifier:
    """The untrained expert that a specification describes."""
    sizes = {key: value for key, value in spec["architecture"].items() if key != "name"}
    name = known("architecture", spec["architecture"]["name"], ARCHITECTURE_SETTINGS)
    settings = read_settings(ARCHITECTURE_SETTINGS[name], sizes, f"architecture {name}")
    return build_architecture(name, settings, spec["num_classes"], spec["in_channels"])


def load_expert(path: Path) -> ImageClassifier:
    """The expert in a file."""
    component = expect_kind(load_component(path), "expert")
    return filled(build_expert(component.spec), component)


def known(what: str, name: str, allowed: Collection[str]) -> str:
    """`name`, if it is allowed; otherwise a UserError with the nearest one that is."""
    if name not in allowed:
        raise UserError(f"{what}: expected one of {', '.join(allowed)}, found {name!r}{nearest(name, allowed)}")
    return name


def filled(module: ModuleType, component: Component) -> ModuleType:
    """`module` with the tensors of a component, whose names and shapes must be its own."""
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in component.tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise UserError(
                f"{component.path}: tensor {name}: expected shape {expected.get(name)}, found {found.get(name)}"
            )
    module.load_state_dict(component.tensors)
    return module
