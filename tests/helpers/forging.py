"""Certificates that are changed and sealed again, as whoever wants to deceive would: each digest is as it should be."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE, MANIFEST_FILE


def canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest(path: Path) -> str:
    return sha256(path.read_bytes())


def write_sealed(path: Path, content: Mapping[str, Any], seal: str) -> None:
    """Indented JSON with the digest of its canonical form."""
    plain = {key: value for key, value in content.items() if key != seal}
    path.write_text(json.dumps(plain | {seal: sha256(canonical(plain))}, indent=2, sort_keys=True) + "\n")


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def content_of(directory: Path) -> dict[str, Any]:
    return read(directory / CERTIFICATE_FILE)


def manifest_of(directory: Path) -> Path:
    """The manifest of the step that wrote a certificate: beside it, or above those of all levels."""
    beside = directory / MANIFEST_FILE
    return beside if beside.exists() else directory.parent / MANIFEST_FILE


def reseal(directory: Path, content: Mapping[str, Any]) -> None:
    """Write what the content is as if a step had written it so: only its numbers can give it away."""
    write_sealed(directory / CERTIFICATE_FILE, content, "sha256")
    path = manifest_of(directory)
    manifest = read(path) | {key: content[key] for key in ("settings", "source_fingerprint") if key in content}
    if isinstance(cell := named(content, "settings", "cell"), dict):
        manifest["identity"] = cell
    for name in (CERTIFICATE_FILE, BITSTREAM_FILE):
        manifest["outputs_sha256"][os.path.relpath(directory / name, path.parent)] = digest(directory / name)
    manifest["inputs_sha256"] = {f"input_{index}": value for index, value in enumerate(sorted(stored_digests(content)))}
    write_sealed(path, manifest, "manifest_sha256")


def named(content: Any, *way: str) -> Any:
    """The value at the end of the way; None where that breaks off."""
    for key in way:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def stored_digests(value: Any) -> set[str]:
    """The digests of all files that a certificate names, as far as they are texts."""
    if isinstance(value, dict):
        own = {value["sha256"]} if value.keys() == {"path", "sha256"} and isinstance(value["sha256"], str) else set()
        return own.union(*map(stored_digests, value.values()))
    return set().union(*map(stored_digests, value)) if isinstance(value, list) else set()


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every number, text, truth value and null."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from leaves(inner, (*path, key))
    else:
        yield path


def holder_of(content: Any, path: tuple[Any, ...]) -> tuple[Any, Any]:
    """Where a leaf stands: its holder, and its key in that."""
    *way, last = path
    for key in way:
        content = content[key]
    return content, last
