"""Listing of component files by what their headers say."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from certifuse.base.errors import UserError
from certifuse.models.components.files import NotAComponentError, read_header

BATCH_NORM_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Inventory:
    """The component files below a directory: one row each, and why those that are damaged cannot be read."""

    components: list[dict[str, Any]]
    damaged: list[dict[str, str]]
    others: int
    """Sound .safetensors files that are no components: images, splits, predictions."""


def list_components(directory: Path) -> Inventory:
    """Read the header of every .safetensors file below a directory; hidden files and directories are left out.

    Raises:
        UserError: there is no such directory.
    """
    if not directory.is_dir():
        raise UserError(f"{directory}: expected a directory of components, found none: check the path")
    components: list[dict[str, Any]] = []
    damaged: list[dict[str, str]] = []
    others = 0
    for path in sorted(directory.rglob("*.safetensors")):
        relative = path.relative_to(directory)
        if any(part.startswith(".") for part in relative.parts):
            continue
        try:
            components.append({"path": str(relative), **summary(path)})
        except NotAComponentError:
            others += 1
        except UserError as error:
            damaged.append({"path": str(relative), "reason": str(error)})
    return Inventory(components, damaged, others)


def summary(path: Path) -> dict[str, Any]:
    """Kind, names, sizes and origin of one component; None where the file does not say.

    Raises:
        UserError: the file is absent, damaged or not a component.
    """
    header, shapes = read_header(path), tensor_shapes(path)
    spec, about = header["spec"], header["about"]
    try:
        sizes = _sizes(spec, shapes)
    except (KeyError, TypeError, IndexError) as error:
        raise UserError(f"{path}: expected a whole component, found none of {error}: make it again") from None
    return {
        "kind": spec["kind"],
        "architecture": about.get("architecture") or sizes["architecture"],
        "fusion": about.get("fusion") or spec.get("fusion"),
        "feature_dim": sizes["feature_dim"],
        "classes": sizes["classes"],
        "parameters": parameter_count(shapes),
        "epoch": about.get("epoch"),
        "lambda": about.get("lambda"),
        "seed": about.get("seed"),
        "origin": about.get("origin"),
    }


def of_stored_epoch(component: Mapping[str, Any]) -> bool:
    """True for a listed component in a run's `epochs` directory: not one of its best epoch."""
    return "epochs" in Path(component["path"]).parts


def tensor_shapes(path: Path) -> Shapes:
    """The shape of every tensor in a sound safetensors file."""
    with safe_open(path, "pt") as stream:
        return {name: tuple(stream.get_slice(name).get_shape()) for name in stream.keys()}  # noqa: SIM118


def parameter_count(shapes: Shapes) -> int:
    """Trainable numbers: everything but the running statistics of batch norm."""
    trainable = (shape for name, shape in shapes.items() if not name.endswith(BATCH_NORM_STATISTICS))
    return sum(math.prod(shape) for shape in trainable)


def _sizes(spec: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    kind = spec["kind"]
    if kind == "fusion":
        return {"architecture": None, "feature_dim": spec["feature_dim"], "classes": None}
    if kind == "global_head":
        return {"architecture": None, "feature_dim": spec["input_dim"], "classes": spec["num_classes"]}
    expert, prefix = (spec["parts"]["expert_0"], "expert_0/") if kind == "complete" else (spec, "")
    return {
        "architecture": expert["architecture"]["name"],
        "feature_dim": shapes[f"{prefix}head.weight"][1],
        "classes": expert["num_classes"],
    }
