"""Networks from components: experts, fusion module and global head, of any runs and epochs whose sizes fit."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn

from certifuse.base.errors import UserError
from certifuse.base.tensors import flat, nested
from certifuse.models.components.files import Component, expect_kind, load_component, save_component
from certifuse.models.components.specifications import (
    LARGEST_MODULE,
    built,
    check_outline,
    check_specification,
    outlined,
)
from certifuse.models.images.architectures.registry import architecture_settings, build_architecture
from certifuse.models.images.blocks import ImageClassifier
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.models.images.fusion.parts import Fusion
from certifuse.models.images.fusion.registry import build_fusion
from certifuse.study.reading.problems import read_settings
from certifuse.study.settings.fusion import FusionModuleSettings

# ---- specifications ------------------------------------------------------------------------------


def fusion_spec(fusion: str, experts: int, feature_dim: int, settings: FusionModuleSettings) -> dict[str, Any]:
    """The specification of a fusion module over `experts` features of size `feature_dim`."""
    keys = FusionModuleSettings.model_fields
    module = {key: value for key, value in settings.plain().items() if key in keys}
    return {"kind": "fusion", "fusion": fusion, "experts": experts, "feature_dim": feature_dim, "module": module}


def head_spec(input_dim: int, num_classes: int) -> dict[str, Any]:
    """The specification of a global head."""
    return {"kind": "global_head", "input_dim": input_dim, "num_classes": num_classes}


def build_fusion_module(fusion: str, experts: int, feature_dim: int, settings: FusionModuleSettings) -> Fusion:
    """A fresh fusion module."""
    return build_described_fusion(fusion_spec(fusion, experts, feature_dim, settings))


def build_described_fusion(spec: dict[str, Any]) -> Fusion:
    """The fresh fusion module that a specification describes. UserError where none can be built from it."""
    check_specification(spec, what := "fusion module")
    return built(what, _fusion_of(spec), LARGEST_MODULE)


def _fusion_of(spec: dict[str, Any]) -> Callable[[], Fusion]:
    settings = read_settings(FusionModuleSettings, spec["module"], f"fusion module {spec['fusion']}")
    return lambda: build_fusion(spec["fusion"], spec["experts"], spec["feature_dim"], settings)


# ---- networks ------------------------------------------------------------------------------------


def load_network(experts: Sequence[Path], fusion: Path | None, global_head: Path | None) -> FusedNetwork:
    """A fused network from separate components; without fusion and head, the average of the experts.

    Raises:
        UserError: the components do not fit each other; both shapes are named.
    """
    return assemble(
        [load_component(path) for path in experts],
        None if fusion is None else load_component(fusion),
        None if global_head is None else load_component(global_head),
    )


def assemble(experts: Sequence[Component], fusion: Component | None, head: Component | None) -> FusedNetwork:
    """Build the network of the given components and fill it."""
    if not experts:
        raise UserError("expected at least one expert, found none: name the expert files or their directory")
    modules = [filled(_expert_of(expect_kind(expert, "expert").spec), expert) for expert in experts]
    _check_experts_agree(experts, modules)
    num_classes = experts[0].spec["num_classes"]
    if fusion is None:
        return FusedNetwork(modules, None, num_classes)
    if head is None:
        raise UserError(f"{fusion.path}: expected a global head to go with this fusion module, found none")
    _check_fit(experts, modules, expect_kind(fusion, "fusion"), expect_kind(head, "global_head"))
    network = FusedNetwork(modules, filled(_fusion_of(fusion.spec), fusion), num_classes)
    _fill(network.component_modules()["global_head"], head)
    return network


def _check_experts_agree(experts: Sequence[Component], modules: Sequence[ImageClassifier]) -> None:
    shapes = [
        (module.feature_dim, expert.spec["num_classes"], expert.spec["in_channels"])
        for expert, module in zip(experts, modules, strict=True)
    ]
    for expert, shape in zip(experts, shapes, strict=True):
        if shape != shapes[0]:
            raise UserError(
                f"{expert.path}: expected (feature size, classes, image channels) {shapes[0]} "
                f"as in {experts[0].path}, found {shape}: choose experts that fit each other"
            )


def _check_fit(
    experts: Sequence[Component], modules: Sequence[ImageClassifier], fusion: Component, head: Component
) -> None:
    expected = (fusion.spec["experts"], fusion.spec["feature_dim"])
    found = (len(modules), modules[0].feature_dim)
    if expected != found:
        raise UserError(
            f"{fusion.path}: expects {expected[0]} experts with features of size {expected[1]}, "
            f"found {found[0]} with size {found[1]} ({experts[0].path}): choose experts and fusion module that fit"
        )
    output_dim = outlined(str(fusion.path), _fusion_of(fusion.spec)).output_dim
    expected = (head.spec["input_dim"], head.spec["num_classes"])
    found = (output_dim, experts[0].spec["num_classes"])
    if expected != found:
        raise UserError(
            f"{head.path}: expects features of size {expected[0]} and {expected[1]} classes, "
            f"found {found[0]} ({fusion.path}) and {found[1]} ({experts[0].path}): choose a global head that fits"
        )


def network_specs(
    network: FusedNetwork, expert: dict[str, Any], fusion: str | None, settings: FusionModuleSettings
) -> dict[str, dict[str, Any]]:
    """The specification of each component of a network, by component name."""
    count, feature_dim = len(network.experts), network.feature_dim
    specs = {f"expert_{index}": expert for index in range(count)}
    if fusion is not None and network.fusion is not None:
        specs["fusion"] = fusion_spec(fusion, count, feature_dim, settings)
        specs["global_head"] = head_spec(network.fusion.output_dim, expert["num_classes"])
    return specs


def save_complete(
    path: Path, specs: dict[str, dict[str, Any]], tensors: dict[str, dict[str, Tensor]], **about: Any
) -> None:
    """Write all components of one epoch into one file."""
    save_component(path, {"kind": "complete", "parts": specs}, flat(tensors), **about)


def load_complete(path: Path) -> FusedNetwork:
    """The network in a file written by `save_complete`."""
    whole = expect_kind(load_component(path), "complete")
    tensors = nested(whole.tensors, whole.spec["parts"])
    parts = {part: Component(path, spec, tensors[part]) for part, spec in whole.spec["parts"].items()}
    experts = [parts[name] for name in in_order(parts) if name.startswith("expert_")]
    return assemble(experts, parts.get("fusion"), parts.get("global_head"))


def in_order(names: Iterable[str]) -> list[str]:
    """Names that differ in their number only, by that number: `expert_2` before `expert_10`."""
    return sorted(names, key=lambda name: (len(name), name))


# ---- directories ---------------------------------------------------------------------------------


class Found(NamedTuple):
    """The components in a directory; what is not there is empty or None."""

    experts: list[Path]
    fusion: Path | None
    global_head: Path | None


def find_components(directory: Path) -> Found:
    """The components of one run or one epoch: `experts/`, `fusion/` and `global/` below `directory`.

    Raises:
        UserError: there are none, or more than one fusion module or head.
    """
    experts = [Path(name) for name in in_order(map(str, (directory / "experts").glob("*.safetensors")))]
    single: dict[str, Path | None] = {}
    for kind in ("fusion", "global"):
        files = sorted((directory / kind).glob("*.safetensors"))
        if len(files) > 1:
            raise UserError(f"{directory / kind}: expected one file, found {len(files)}: name the one to use")
        single[kind] = files[0] if files else None
    if not experts and not any(single.values()):
        raise UserError(f"{directory}: expected components below experts/, fusion/ and global/, found none")
    return Found(experts, single["fusion"], single["global"])


ModuleType = TypeVar("ModuleType", bound=nn.Module)


def expert_spec(architecture: dict[str, Any], num_classes: int, in_channels: int) -> dict[str, Any]:
    """The specification of an expert; `architecture` holds `name` and the sizes."""
    return {"kind": "expert", "architecture": architecture, "num_classes": num_classes, "in_channels": in_channels}


def build_expert(spec: dict[str, Any]) -> ImageClassifier:
    """The untrained expert that a specification describes. UserError where this machine has not the memory."""
    return built(f"architecture {spec['architecture']['name']}", _expert_of(spec))


def _expert_of(spec: dict[str, Any]) -> Callable[[], ImageClassifier]:
    sizes = {key: value for key, value in spec["architecture"].items() if key != "name"}
    name = spec["architecture"].get("name")
    settings = architecture_settings(name, sizes)
    return lambda: build_architecture(name, settings, spec["num_classes"], spec["in_channels"])


def filled(build: Callable[[], ModuleType], component: Component) -> ModuleType:
    """The module that `build` builds, with the tensors of a component, whose names and shapes must be its own.

    They are compared before anything is built, so that no more memory is taken than the file has bytes.
    """
    check_outline(outlined(str(component.path), build), component.tensors, component.path)
    return _fill(build(), component)


def _fill(module: ModuleType, component: Component) -> ModuleType:
    check_outline(module, component.tensors, component.path)
    module.load_state_dict(component.tensors)
    return module
