"""Component files: an expert, a fusion module or a global head that says what it is.

A component is a safetensors file whose metadata hold all that is needed to build its module, and a digest of all of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from certifuse.base.digests import canonical_json, digest_bytes
from certifuse.base.errors import UserError
from certifuse.base.tensors import digest_tensor, write_tensors

METADATA_KEY, SEAL_KEY = "certifuse", "sha256"
HEADER_KEYS = {"format", "spec", "about"}
FORMAT = 1


class NotAComponentError(UserError):
    """A sound safetensors file that holds something else."""


@dataclass(frozen=True)
class Component:
    """What a file holds. `spec` has the key `kind` (expert, fusion, global_head, complete) and sizes."""

    path: Path
    spec: dict[str, Any]
    tensors: dict[str, Tensor]


def save_component(path: Path, spec: dict[str, Any], tensors: dict[str, Tensor], **about: Any) -> None:
    """Write one component atomically. `about` (epoch, lambda, seed, ...) is kept in the metadata."""
    header = {"format": FORMAT, "spec": spec, "about": about}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_tensors(path, plain, {METADATA_KEY: canonical_json(header | {SEAL_KEY: _seal(header, plain)})})


def _seal(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of all that a component holds: safetensors has no checksum of its own."""
    digests = {name: digest_tensor(tensor) for name, tensor in tensors.items()}
    return digest_bytes(canonical_json([dict(header), digests]).encode())


def read_header(path: Path) -> dict[str, Any]:
    """`{"format", "spec", "about"}` of a component, without its tensors.

    Raises:
        NotAComponentError: the file is a sound safetensors file without a component's metadata.
        UserError: the file is absent or damaged.
    """
    if not path.is_file():
        raise UserError(f"{path}: expected a component (.safetensors), found no file: check the path or train it first")
    try:
        with safe_open(path, "pt") as stream:
            metadata = stream.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: expected a component, found a damaged file ({error}): make it again") from None
    if METADATA_KEY not in metadata:
        raise NotAComponentError(f"{path}: expected a component, found a safetensors file without its metadata")
    try:
        header: dict[str, Any] = json.loads(metadata[METADATA_KEY])
        complete = header["format"] == FORMAT and bool(header["spec"]["kind"]) and isinstance(header["about"], dict)
        complete = complete and header.keys() - {SEAL_KEY} == HEADER_KEYS
    except (ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise UserError(f"{path}: expected the metadata of a component of format {FORMAT}, found others: make it again")
    return header


def load_component(path: Path) -> Component:
    """Read one component onto the CPU.

    Raises:
        UserError: see `read_header`; or the content is not that of the seal (a file made elsewhere may have none).
    """
    header = read_header(path)
    seal = header.pop(SEAL_KEY, None)
    with safe_open(path, "pt") as stream:
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    if seal not in (None, _seal(header, tensors)):
        raise UserError(f"{path}: expected a component, found a damaged file (its digest differs): make it again")
    return Component(path, header["spec"], tensors)


def expect_kind(component: Component, kind: str) -> Component:
    """The component, if it is of that kind."""
    if component.spec["kind"] != kind:
        raise UserError(f"{component.path}: expected a component of kind {kind}, found {component.spec['kind']}")
    return component
