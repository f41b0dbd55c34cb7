"""One safetensors file of tensors and facts that notices any change to itself.

safetensors has no checksum of its own. Here the metadata holds a record (canonical JSON: the facts, the kind
of the file, the SHA-256 of every tensor) and the SHA-256 of that record; reading verifies both.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from certifuse.base.digests import canonical_json, digest_bytes
from certifuse.base.errors import UserError
from certifuse.base.files import write_atomically

SEALED = "certifuse_sealed"
_MEND = "delete it and run the step that writes it"


def digest_tensor(tensor: Tensor) -> str:
    """SHA-256 over dtype, shape and bytes of a CPU tensor."""
    header = f"{tensor.dtype}{list(tensor.shape)}\n".encode()
    digest = hashlib.sha256(header)
    digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors by name, wherever they are."""
    digests = {name: digest_tensor(tensor.cpu().contiguous()) for name, tensor in tensors.items()}
    return digest_bytes(canonical_json(digests).encode())


def write_sealed(path: Path, kind: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write `tensors` and JSON `facts` to `path`, atomically."""
    digests = {name: digest_tensor(tensor) for name, tensor in tensors.items()}
    record = canonical_json({"kind": kind, "facts": dict(facts), "sha256": digests})
    apart = {name: tensor.clone() for name, tensor in tensors.items()}  # safetensors takes none that share memory
    write_tensors(path, apart, {SEALED: f"{digest_bytes(record.encode())} {record}"})


def read_sealed(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read back (tensors, facts). UserError when the file is absent, foreign, of another kind or changed."""
    if not path.is_file():
        raise UserError(f"{path}: expected a file with {kind}, found none; run the step that writes it")
    try:
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: expected {kind}, found no readable safetensors file ({reason}); {_MEND}") from error
    if SEALED not in metadata:
        raise UserError(f"{path}: expected {kind}, found a safetensors file of another program; {_MEND}")
    digest, _, text = metadata[SEALED].partition(" ")
    if digest_bytes(text.encode()) != digest:
        raise UserError(f"{path}: the record in the header differs from its digest; {_MEND}")
    record = json.loads(text)
    if record["kind"] != kind:
        raise UserError(f"{path}: expected {kind}, found {record['kind']}; name the right file")
    if tensors.keys() != record["sha256"].keys():
        raise UserError(f"{path}: expected the tensors {sorted(record['sha256'])}, found {sorted(tensors)}; {_MEND}")
    for name, expected in record["sha256"].items():
        if digest_tensor(tensors[name]) != expected:
            raise UserError(f"{path}: the bytes of {name!r} differ from their digest; {_MEND}")
    return tensors, record["facts"]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write CPU tensors.

    safetensors orders several entries of metadata differently in each run: give one where the bytes count.

    Raises:
        DiskError: the disk refuses the file.
    """
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}

    def write(temporary: Path) -> None:
        try:
            save_file(plain, temporary, metadata=dict(metadata))
        except SafetensorError as error:
            number = re.search(r"\(os error (\d+)\)", str(error))
            raise (OSError(int(number[1]), str(error)) if number else error) from None

    write_atomically(path, write, sum(tensor.nbytes for tensor in plain.values()))
