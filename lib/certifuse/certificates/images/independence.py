"""Independence: by the manifest of its training a model saw nothing that it is certified on.

A manifest ties components to the images and to the split file that they were trained with, by digests. The split file
says which images each expert saw.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.base.manifest import path_from, read_manifest
from certifuse.data.images.splits import check_disjoint, load_splits

Pair = tuple[Path, Path]
"""A component, and the manifest of its training."""


def check_experts(experts: Sequence[Pair], images: Path, splits_file: Path) -> None:
    """UserError unless every expert was trained on its own images, none of them a fusion or certificate image."""
    splits = load_splits(splits_file)
    trained_on = {f"expert_{index}": indices for index, indices in enumerate(splits.experts)}
    for component, manifest_file in experts:
        manifest = _manifest(manifest_file, "pretrain_expert")
        member = manifest["identity"].get("member")
        if member not in trained_on:
            allowed = ", ".join(trained_on)
            raise UserError(f"{manifest_file}: expected a model trained as one of {allowed}, found {member!r}")
        _check_written(component, manifest, manifest_file)
        _check_data(manifest, manifest_file, images, splits_file)
        check_disjoint({member: trained_on[member], "fusion": splits.fusion, "certificate": splits.certificate})


def check_joint(
    components: Sequence[Path], manifest_file: Path, experts: Sequence[Pair], images: Path, splits_file: Path
) -> dict[str, Any]:
    """The manifest of a jointly trained model.

    Raises:
        UserError: it is not that of `components`, or it does not say that they were trained from these experts, on
            the fusion images of this split file.
    """
    manifest = _manifest(manifest_file, "train_fusion")
    for component in components:
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
    return manifest


def _manifest(path: Path, rule: str) -> dict[str, Any]:
    manifest = read_manifest(path)
    keys = {"data_sha256", "inputs_sha256", "outputs_sha256", "identity"}
    sound = manifest.get("step") == rule and all(isinstance(manifest.get(key), dict) for key in keys)
    if not sound or (rule == "train_fusion" and not isinstance(manifest.get("initial_components"), list)):
        raise UserError(f"{path}: expected the manifest of a training by the rule {rule}: train it again")
    return manifest


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
