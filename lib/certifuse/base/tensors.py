"""Tensors by name, and the one file of them that notices any change to itself.

safetensors has no checksum of its own. Here the metadata holds a record (canonical JSON: the facts, the kind
of the file, the SHA-256 of every tensor) and the SHA-256 of that record; reading verifies both.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from certifuse.base.digests import canonical_json, digest_bytes
from certifuse.base.errors import UserError
from certifuse.base.files import check_file, parse_json, write_atomically
from certifuse.base.machine import require_memory

SEALED = "certifuse_sealed"
_MEND = "delete it and run the step that writes it"


class OtherFileError(UserError):
    """A sound safetensors file that holds something else."""


class DamagedFileError(UserError):
    """A file that is not as it was written; `reason` says what shows that."""

    def __init__(self, path: Path, kind: str, reason: object) -> None:
        self.reason = " ".join(str(reason).split())
        super().__init__(f"{path}: expected {kind}, found a damaged file ({self.reason}): {_MEND}")


# ---- digests and names ---------------------------------------------------------------------------


def digest_tensor(tensor: Tensor) -> str:
    """SHA-256 over dtype, shape and bytes of a CPU tensor of any dtype."""
    digest = hashlib.sha256(f"{tensor.dtype}{list(tensor.shape)}\n".encode())
    if tensor.numel():
        as_bytes = tensor.detach().contiguous().view(-1).view(torch.uint8)  # NumPy has no bfloat16
        digest.update(as_bytes.numpy().data)
    return digest.hexdigest()


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors by name, wherever they are."""
    digests = {name: digest_tensor(tensor.cpu()) for name, tensor in tensors.items()}
    return digest_bytes(canonical_json(digests).encode())


def flat(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of all parts under the names "part/name"; a part has no slash in its own name."""
    return {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def nested(tensors: Mapping[str, Tensor], parts: Iterable[str] = ()) -> dict[str, dict[str, Tensor]]:
    """The inverse of `flat`. Those of `parts` are there without a tensor too, and come first."""
    found: dict[str, dict[str, Tensor]] = {part: {} for part in parts}
    for key, tensor in tensors.items():
        part, name = key.split("/", 1)
        found.setdefault(part, {})[name] = tensor
    return found


# ---- sealed files --------------------------------------------------------------------------------


def write_sealed(path: Path, kind: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors, wherever they are, and JSON `facts` to `path`, atomically.

    Raises:
        DiskError: the disk refuses the file.
    """
    on_host = _apart({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    digests = {name: digest_tensor(tensor) for name, tensor in on_host.items()}
    record = canonical_json({"kind": kind, "facts": dict(facts), "sha256": digests})
    # one entry, as safetensors orders several differently in each process, and equal content has equal bytes
    metadata = {SEALED: f"{digest_bytes(record.encode())} {record}"}

    def write(temporary: Path) -> None:
        try:
            save_file(on_host, temporary, metadata=metadata)
        except SafetensorError as error:
            number = re.search(r"\(os error (\d+)\)", str(error))
            raise (OSError(int(number[1]), str(error)) if number else error) from None

    write_atomically(path, write, sum(tensor.nbytes for tensor in on_host.values()))


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of which none shares memory with another, as safetensors wants them: the later one is a copy."""
    taken: set[int] = set()
    for name, tensor in tensors.items():
        memory = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone() if memory in taken else tensor
        taken.add(memory)
    return tensors


def read_sealed(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read back (tensors, facts).

    Raises:
        OtherFileError: a sound file, of another program or another kind.
        UserError: the file is absent, or changed since it was written.
    """
    tensors, metadata = read_tensors(path, kind)
    record = _record(path, kind, metadata)
    if tensors.keys() != record["sha256"].keys():
        reason = f"expected the tensors {sorted(record['sha256'])}, found {sorted(tensors)}"
        raise DamagedFileError(path, kind, reason)
    for name, digest in record["sha256"].items():
        if digest_tensor(tensors[name]) != digest:
            raise DamagedFileError(path, kind, f"the bytes of {name!r} differ from their digest")
    return tensors, record["facts"]


def read_facts(path: Path, kind: str, metadata: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The facts of a file without its tensors, from its metadata where they are read already.

    Errors are those of `read_sealed`, but for changed tensors.
    """
    facts: dict[str, Any] = _record(path, kind, read_metadata(path, kind) if metadata is None else metadata)["facts"]
    return facts


def _record(path: Path, kind: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    if SEALED not in metadata:
        raise OtherFileError(f"{path}: expected {kind}, found a safetensors file of another program: {_MEND}")
    digest, _, text = metadata[SEALED].partition(" ")
    if digest_bytes(text.encode()) != digest:
        raise DamagedFileError(path, kind, "the record in its header differs from its digest")
    record = _parsed(text)
    if record.keys() != {"kind", "facts", "sha256"} or not isinstance(record["sha256"], dict):
        raise DamagedFileError(path, kind, "the record in its header is none of this software")
    if record["kind"] != kind:
        raise OtherFileError(f"{path}: expected {kind}, found {record['kind']}: name the right file")
    return record


def _parsed(text: str) -> dict[str, Any]:
    """The object in a JSON text; an empty one where there is none."""
    try:
        value = parse_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


# ---- any safetensors file ------------------------------------------------------------------------


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file, unverified.

    Raises:
        UserError: it is absent, damaged, no regular file, or larger than the memory of this machine.
    """
    with _opened(path, kind) as stream:
        require_memory(str(path), path.stat().st_size)
        return {name: stream.get_tensor(name) for name in stream.keys()}, stream.metadata() or {}  # noqa: SIM118


def read_metadata(path: Path, kind: str) -> dict[str, str]:
    """The metadata alone. UserError as for `read_tensors`."""
    with _opened(path, kind) as stream:
        metadata: dict[str, str] = stream.metadata() or {}
        return metadata


@contextlib.contextmanager
def _opened(path: Path, kind: str) -> Iterator[Any]:
    try:
        check_file(path)
    except OSError:
        found = f"expected {kind}, found no file: check the path, or run the step that writes it"
        raise UserError(f"{path}: {found}") from None
    try:
        with safe_open(path, framework="pt") as stream:
            yield stream
    except (SafetensorError, OSError, ValueError) as error:
        raise DamagedFileError(path, kind, error) from error
