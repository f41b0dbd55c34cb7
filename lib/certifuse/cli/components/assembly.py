"""A network from component files, with the record of where each part comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from certifuse.base.errors import UserError
from certifuse.models.components.assembly import Found, assemble, load_complete, save_complete
from certifuse.models.components.files import load_component, read_header
from certifuse.models.images.fused_network import FusedNetwork

LABELS = ("architecture", "fusion", "lambda", "seed")
TRAINED_ALONE = "pre-trained"
ZEROS_SIZE = 32


@dataclass(frozen=True)
class Part:
    """One component of a network: its file, its specification, and what its metadata say of its training."""

    path: Path
    spec: dict[str, Any]
    about: dict[str, Any]

    @property
    def run(self) -> str:
        """Its run: `resnet/concatenation/lambda_1.0/seed_0`, or `expert_0/seed_0` for an expert trained alone."""
        about = self.about
        names = [about[key] for key in ("architecture", "fusion", "member") if about.get(key) is not None]
        numbers = {"lambda": about.get("lambda"), "seed": about.get("seed")}
        names += [f"{label}_{value}" for label, value in numbers.items() if value is not None]
        return "/".join(names) or "unknown"

    def row(self) -> dict[str, Any]:
        """The row of a table that shows it."""
        name = self.spec["architecture"]["name"] if self.spec["kind"] == "expert" else self.spec.get("fusion")
        about = {key: self.about.get(key) for key in ("epoch", "origin")}
        return {"kind": self.spec["kind"], "name": name, **about, "run": self.run, "path": str(self.path)}


@dataclass(frozen=True)
class Assembly:
    """A network and its parts by name."""

    network: FusedNetwork
    parts: dict[str, Part]

    @property
    def fusion(self) -> str | None:
        """Its fusion rule; None for the average of its experts."""
        return self.parts["fusion"].spec["fusion"] if "fusion" in self.parts else None

    def record(self) -> dict[str, Any]:
        """Describe what was built."""
        return {
            "experts": len(self.network.experts),
            "fusion": self.fusion,
            "feature_dim": self.network.feature_dim,
            "classes": self.parts["expert_0"].spec["num_classes"],
            "parameters": sum(parameter.numel() for parameter in self.network.parameters()),
            "parts": [{"part": name, **part.row()} for name, part in self.parts.items()],
        }

    def warnings(self) -> list[str]:
        """True where parts were never trained together. Experts trained alone have epochs of their own."""
        runs = {tuple(part.about.get(key) for key in (*LABELS, "origin")): part.run for part in self.parts.values()}
        together = [part.about for part in self.parts.values() if part.about.get("origin") != TRAINED_ALONE]
        epochs = sorted({about["epoch"] for about in together if "epoch" in about})
        found = [f"runs ({', '.join(runs.values())})"] if len(runs) > 1 else []
        found += [f"epochs ({', '.join(map(str, epochs))})"] if len(epochs) > 1 else []
        return [f"its parts come from different {what}: it was never trained as a whole" for what in found]

    def save(self, path: Path) -> None:
        """Write all parts into one complete file; the metadata keep what all agree on, and each part's own.

        Raises:
            UserError: the file exists.
        """
        if path.exists():
            raise UserError(f"{path}: expected a new file, found one: choose another name or delete it")
        abouts = {name: part.about for name, part in self.parts.items()}
        specs = {name: part.spec for name, part in self.parts.items()}
        states = {name: module.state_dict() for name, module in self.network.component_modules().items()}
        common = {key: _agreed([about.get(key) for about in abouts.values()]) for key in (*LABELS, "epoch", "images")}
        save_complete(path, specs, states, **common, origin="reconstructed", parts=abouts)


def _agreed(values: list[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None


def build(found: Found) -> Assembly:
    """The network of the given component files."""
    paths = {f"expert_{index}": path for index, path in enumerate(found.experts)}
    paths |= {"fusion": found.fusion} if found.fusion else {}
    paths |= {"global_head": found.global_head} if found.global_head else {}
    components = {name: load_component(path) for name, path in paths.items()}
    experts = [components[f"expert_{index}"] for index in range(len(found.experts))]
    network = assemble(experts, components.get("fusion"), components.get("global_head"))
    parts = {
        name: Part(component.path, component.spec, read_header(component.path)["about"])
        for name, component in components.items()
    }
    return Assembly(network, parts)


def load_whole(path: Path) -> Assembly:
    """The network of a complete file."""
    network, header = load_complete(path), read_header(path)
    about = header["about"]
    own: Mapping[str, dict[str, Any]] = about.get("parts", {})
    specs = header["spec"]["parts"]
    parts = {name: Part(path, specs[name], own.get(name, about)) for name in network.component_modules()}
    return Assembly(network, parts)


def forward_on_zeros(assembly: Assembly) -> dict[str, Any]:
    """Run the network on a black image and return the shapes that went in and came out.

    Raises:
        UserError: an output is not finite.
    """
    shape = (1, assembly.parts["expert_0"].spec["in_channels"], ZEROS_SIZE, ZEROS_SIZE)
    with torch.inference_mode():
        output = assembly.network.eval()(torch.zeros(shape))
    for name, tensor in output._asdict().items():
        if not torch.isfinite(tensor).all():
            where = assembly.parts["expert_0"].path
            raise UserError(f"{where}: expected finite {name} for an image of zeros, found NaN or infinity: retrain it")
    return {
        "images": list(shape),
        "global_logits": list(output.global_logits_NK.shape),
        "expert_logits": list(output.expert_logits_ENK.shape),
    }
