"""Independence: by the manifest of its training a model saw nothing that it is certified on.

A manifest ties components to the images and to the split file that they were trained with, by digests. The split file
says which images each expert saw.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.base.manifest import path_from, read_manifest
from certifuse.data.images.splits import load_splits
from certifuse.study import paths

Pair = tuple[Path, Path]
"""A component, and the manifest of its training."""


def check_experts(experts: Sequence[Pair], identity: Mapping[str, Any], images: Path, splits_file: Path) -> None:
    """UserError unless these are all experts of an architecture and seed, in order, each trained on its own images.

    Those are images of the pool (see `Splits`), and so none of them is a fusion or certificate image.
    """
    number = len(load_splits(splits_file).experts)
    if len(experts) != number:
        raise UserError(f"{splits_file}: expected all of its {number} experts, found {len(experts)}: name each once")
    for index, (component, manifest_file) in enumerate(experts):
        manifest = _manifest(manifest_file, "pretrain_expert")
        _check_identity(manifest, manifest_file, _family(identity) | {"member": f"expert_{index}"})
        _check_written(component, manifest, manifest_file)
        _check_data(manifest, manifest_file, images, splits_file)


def check_joint(
    components: Sequence[Path],
    manifest_file: Path,
    identity: Mapping[str, Any],
    experts: Sequence[Pair],
    images: Path,
    splits_file: Path,
) -> None:
    """Check a jointly trained model by its manifest.

    Raises:
        UserError: it is not that of a cell or of `components` in their order, or it does not say that they were
            trained from these experts, on the fusion images of this split file.
    """
    manifest = _manifest(manifest_file, "train_fusion")
    cell = _family(identity) | {name: identity[name] for name in ("fusion", "lambda")}
    _check_identity(manifest, manifest_file, cell)
    for component, name in zip(components, _component_files(cell, len(experts)), strict=True):
        if path_from(manifest_file.parent, component) != name:
            raise UserError(f"{component}: expected {name} beside {manifest_file}, found another file in its place")
        _check_written(component, manifest, manifest_file)
    _check_data(manifest, manifest_file, images, splits_file)
    read = set(manifest["inputs_sha256"].values())
    for component, _ in experts:
        if (found := digest_file(component)) not in read:
            raise UserError(f"{manifest_file}: expected a model trained from {component}, SHA-256 {found}, found none")
    if earlier := manifest["initial_components"]:
        raise UserError(
            f"{manifest_file}: expected a model trained from the pre-trained experts, found one that continues from "
            f"components (SHA-256 {min(earlier)}) whose images are not known: set fusion.initial_components to null to "
            "certify it"
        )


def _family(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {name: identity[name] for name in ("architecture", "seed")}


def _component_files(cell: Mapping[str, Any], experts: int) -> list[str]:
    """Where the components of a cell lie beside its manifest, in order."""
    templates = [*map(paths.cell_expert, range(experts)), paths.FUSION_FILE, paths.HEAD_FILE]
    return [template.format(**cell) for template in templates]


def _manifest(path: Path, rule: str) -> dict[str, Any]:
    manifest = read_manifest(path)
    keys = {"data_sha256", "inputs_sha256", "outputs_sha256", "identity"}
    sound = manifest.get("step") == rule and all(isinstance(manifest.get(key), dict) for key in keys)
    if not sound or (rule == "train_fusion" and not isinstance(manifest.get("initial_components"), list)):
        raise UserError(f"{path}: expected the manifest of a training by the rule {rule}: train it again")
    return manifest


def _check_identity(manifest: dict[str, Any], manifest_file: Path, expected: Mapping[str, Any]) -> None:
    found = {name: manifest["identity"].get(name) for name in expected}
    if found != expected:
        said, seen = (", ".join(f"{key} {value!r}" for key, value in names.items()) for names in (expected, found))
        raise UserError(f"{manifest_file}: expected a model trained as {said}, found {seen}")


def _check_written(component: Path, manifest: dict[str, Any], manifest_file: Path) -> None:
    recorded = manifest["outputs_sha256"].get(path_from(manifest_file.parent, component))
    if recorded != (found := digest_file(component)):
        raise UserError(f"{component}: expected SHA-256 {recorded} as in {manifest_file}, found {found}")


def _check_data(manifest: dict[str, Any], manifest_file: Path, images: Path, splits: Path) -> None:
    for name, file in {"images": images, "splits": splits}.items():
        here = digest_file(file)
        if (recorded := manifest["data_sha256"].get(name)) != [here]:
            told = f"SHA-256 {' and '.join(map(str, recorded))}" if recorded else "no known digest"
            raise UserError(
                f"{manifest_file}: trained with {name} of {told}, expected {here}: the model may have seen images "
                f"that it is certified on; train it again with these {name}"
            )
