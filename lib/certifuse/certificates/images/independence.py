"""What a model was trained on, by the manifest of its training: nothing that it is certified on.

A manifest ties components to the images and to the split file that they were trained with, by digests. The split file
says which images each expert saw.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.base.manifest import read_manifest
from certifuse.data.images.splits import check_disjoint, load_splits

Pair = tuple[Path, Path]
"""A component, and the manifest of its training."""


def check_experts(experts: Sequence[Pair], images: Path, splits_file: Path) -> None:
    """UserError unless every expert was trained on its own images, none of them a fusion or certificate image."""
    splits = load_splits(splits_file)
    trained_on = {f"expert_{index}": indices for index, indices in enumerate(splits.experts)}
    digests = {"images": digest_file(images), "splits": digest_file(splits_file)}
    for component, manifest_file in experts:
        manifest = _manifest(manifest_file, ("member", "component_sha256", "inputs_sha256"))
        member = manifest["member"]
        if member not in trained_on:
            allowed = ", ".join(trained_on)
            raise UserError(f"{manifest_file}: expected a model trained as one of {allowed}, found {member!r}")
        _check_digest(component, manifest["component_sha256"], manifest_file)
        _check_inputs(manifest, manifest_file, digests)
        check_disjoint({member: trained_on[member], "fusion": splits.fusion, "certificate": splits.certificate})


def check_joint(
    components: Sequence[Path], manifest_file: Path, experts: Sequence[Pair], images: Path, splits_file: Path
) -> dict[str, Any]:
    """The manifest of a jointly trained model.

    Raises:
        UserError: it is not that of `components`, or it does not say that they were trained from these experts, on
            the fusion images of this split file.
    """
    manifest = _manifest(manifest_file, ("components_sha256", "inputs_sha256", "initial_components_sha256"))
    recorded = {Path(name).name: digest for name, digest in manifest["components_sha256"].items()}
    for component in components:
        _check_digest(component, recorded.get(component.name), manifest_file)
    named = {f"expert_{index}": digest_file(component) for index, (component, _) in enumerate(experts)}
    _check_inputs(manifest, manifest_file, {"images": digest_file(images), "splits": digest_file(splits_file), **named})
    if earlier := manifest["initial_components_sha256"]:
        raise UserError(
            f"{manifest_file}: expected a model trained from the pre-trained experts, found one that continues from "
            f"{min(earlier)}, whose images are not known: set fusion.initial_components to null to certify it"
        )
    return manifest


def _manifest(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    manifest = read_manifest(path)
    digests = [key for key in keys if key.endswith("s_sha256")]
    complete = manifest.keys() >= set(keys)
    if not complete or not all(isinstance(manifest[key], dict) for key in digests):
        raise UserError(f"{path}: expected the manifest of a training, with {', '.join(keys)}: train it again")
    return manifest


def _check_digest(component: Path, recorded: Any, manifest_file: Path) -> None:
    if recorded != (found := digest_file(component)):
        raise UserError(f"{component}: expected SHA-256 {recorded} as in {manifest_file}, found {found}")


def _check_inputs(manifest: dict[str, Any], manifest_file: Path, digests: dict[str, str]) -> None:
    for name, here in digests.items():
        if (recorded := manifest["inputs_sha256"].get(name)) != here:
            raise UserError(
                f"{manifest_file}: trained with {name} {recorded}, expected {here}: the model may have seen images "
                f"that it is certified on; train it again with these {name}"
            )
