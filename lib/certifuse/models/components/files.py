"""Component files: an expert, a fusion module or a global head that says what it is.

A component is a sealed file of tensors whose facts hold all that is needed to build its module:
`{"format": 1, "spec": {"kind": ..., sizes}, "about": {epoch, lambda, seed, ...}}`. Another form is read as well, that
of older files and of other programs: any safetensors file with these facts, as JSON, in its metadata under `certifuse`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from certifuse.base.digests import canonical_json, digest_bytes
from certifuse.base.errors import UserError
from certifuse.base.files import parse_json
from certifuse.base.tensors import (
    DamagedFileError,
    OtherFileError,
    digest_tensor,
    read_facts,
    read_metadata,
    read_sealed,
    read_tensors,
    write_sealed,
)
from certifuse.models.components.specifications import check_specification

KIND = "a component"
FORMAT = 1
HEADER_KEYS = {"format", "spec", "about"}
OPEN_KEY = "certifuse"
OPEN_SEAL = "sha256"
"""A key of the open form that may be absent: SHA-256 of the other keys and of all tensors."""
OLDER_LABELS = {"lam": "lambda"}
"""What files of the open form call a label, and what it is called."""


class NotAComponentError(UserError):
    """A sound safetensors file that holds something else."""


@dataclass(frozen=True)
class Component:
    """Content of a component file. `spec` has the key `kind` (expert, fusion, global_head, complete) and sizes."""

    path: Path
    spec: dict[str, Any]
    tensors: dict[str, Tensor]


def save_component(path: Path, spec: dict[str, Any], tensors: dict[str, Tensor], **about: Any) -> None:
    """Write one component atomically. `about` (epoch, lambda, seed, ...) is kept in the metadata."""
    write_sealed(path, KIND, tensors, {"format": FORMAT, "spec": spec, "about": about})


def read_header(path: Path) -> dict[str, Any]:
    """`{"format", "spec", "about"}` of a component, without its tensors.

    Raises:
        NotAComponentError: the file is a sound safetensors file without a component's metadata.
        UserError: the file is absent or damaged.
    """
    metadata = read_metadata(path, KIND)
    if OPEN_KEY not in metadata:
        return _sealed_header(path, metadata)
    header = _open_header(path, metadata)
    return {"format": header["format"], "spec": header["spec"], "about": _relabelled(header["about"])}


def load_component(path: Path) -> Component:
    """Read one component onto the CPU.

    Raises:
        UserError: see `read_header`; or the content is not that of the seal.
    """
    header = read_header(path)
    check_specification(header["spec"], str(path))
    tensors = _open_tensors(path) if OPEN_KEY in read_metadata(path, KIND) else read_sealed(path, KIND)[0]
    return Component(path, header["spec"], tensors)


def expect_kind(component: Component, kind: str) -> Component:
    """The component, if it is of that kind."""
    if component.spec["kind"] != kind:
        raise UserError(f"{component.path}: expected a component of kind {kind}, found {component.spec['kind']}")
    return component


def _sealed_header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        header = read_facts(path, KIND, metadata)
    except OtherFileError:
        found = "a safetensors file without its metadata"
        raise NotAComponentError(f"{path}: expected a component, found {found}: name another file") from None
    return _complete(path, header)


# ---- the open form -------------------------------------------------------------------------------


def _open_header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        header = parse_json(metadata[OPEN_KEY])
    except ValueError:
        header = None
    return _complete(path, header)


def _relabelled(about: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that a file states of itself, and of its parts where it was put together, by the labels of today."""
    return {
        OLDER_LABELS.get(key, key): _relabelled(value) if isinstance(value, dict) else value
        for key, value in about.items()
    }


def _open_tensors(path: Path) -> dict[str, Tensor]:
    tensors, metadata = read_tensors(path, KIND)
    header = _open_header(path, metadata)
    seal = header.pop(OPEN_SEAL, None)
    digests = {name: digest_tensor(tensor) for name, tensor in tensors.items()}
    if seal not in (None, digest_bytes(canonical_json([header, digests]).encode())):
        raise DamagedFileError(path, KIND, "its digest differs")
    return tensors


def _complete(path: Path, header: Any) -> dict[str, Any]:
    """The header, if it has what all readers rely on."""
    try:
        complete = header["format"] == FORMAT and bool(header["spec"]["kind"]) and isinstance(header["about"], dict)
        complete = complete and header.keys() - {OPEN_SEAL} == HEADER_KEYS
    except (KeyError, TypeError):
        complete = False
    if not complete:
        raise UserError(f"{path}: expected the metadata of a component of format {FORMAT}, found others: make it again")
    result: dict[str, Any] = header
    return result
