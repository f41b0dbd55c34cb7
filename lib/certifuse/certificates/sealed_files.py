"""The JSON of a certificate: one canonical form, sealed by its own digest, whatever kind of certificate it is."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from certifuse.base.digests import canonical_json, digest_bytes, digest_file
from certifuse.base.errors import UserError
from certifuse.base.files import UnfitFileError, check_file, parse_json, read_bytes, write_bytes, write_text
from certifuse.base.records import Settings, SettingsType
from certifuse.base.sealed import sealed, unsealed
from certifuse.certificates.expectations import expect
from certifuse.study.paths import BITSTREAM_FILE


class StoredFile(Settings):
    """A file that a verifier needs: its path from the certificate's directory, and its SHA-256."""

    path: str
    sha256: str


FORMAT = 1
SEAL = "sha256"
LARGEST_CERTIFICATE_BYTES = 1 << 22
"""Of the JSON; that of hundreds of bounds has a hundredth of it."""
LARGEST_BITSTREAM_BYTES = 1 << 26
"""Half a billion bits: a hundred million weights on as many levels as anybody certifies."""


def write_sealed_json(path: Path, value: Settings) -> None:
    """Write a value that has a field `format`, atomically, with its seal."""
    write_text(path, _text(value.plain()))


def read_sealed_json(path: Path, model: type[SettingsType]) -> SettingsType:
    """Read it back.

    Raises:
        UserError: the file is absent, of another format or model, or not byte for byte as it was written.
    """
    try:
        content = _of_format(path, model.model_fields["format"].default)
        value = model.from_json(canonical_json(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {where}: {first['msg']}: make it again") from None
    expect(str(path), content, value.plain(), tolerance=0.0)
    return value


def _of_format(path: Path, expected: int) -> dict[str, Any]:
    content = sealed_content(path)
    found = content.get("format")
    if found != expected:
        older = isinstance(found, int) and found < expected
        mend = (
            "an older version wrote it: delete its directory and run the study again, or verify it with that version"
            if older
            else "verify it with the version that wrote it"
        )
        raise UserError(f"{path}: expected a certificate of format {expected}, found {found!r}: {mend}")
    return content


def sealed_content(path: Path) -> dict[str, Any]:
    """The content of a file, of whatever format and model. UserError as in `read_sealed_json`."""
    try:
        data = read_bytes(path, LARGEST_CERTIFICATE_BYTES)
    except OSError:
        raise UserError(f"{path}: expected a certificate, found no file: name the directory of one") from None
    try:
        content = unsealed(parse_json(data), SEAL)
    except ValueError:
        raise UserError(f"{path}: expected a certificate, found a damaged file: make it again") from None
    if data != _text(content).encode():
        raise UserError(f"{path}: its bytes differ from those that were written: make it again")
    return content


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(sealed(content, SEAL), indent=2, sort_keys=True, allow_nan=False) + "\n"


def check_directory(directory: Path, names: set[str]) -> None:
    """UserError for a file, or anything else, in the directory of a certificate that is none of it."""
    foreign = sorted(path.name for path in directory.iterdir() if path.name not in names)
    if foreign:
        expected = ", ".join(sorted(names))
        raise UserError(f"{directory / foreign[0]}: expected {expected} and nothing else, found it there: move it away")


def write_bitstream(directory: Path, bitstream: bytes) -> bytes:
    """Write the bitstream of a certificate; what is on disk then."""
    path = directory / BITSTREAM_FILE
    write_bytes(path, bitstream)
    return read_bytes(path, LARGEST_BITSTREAM_BYTES)


def read_bitstream(directory: Path, sha256: str) -> bytes:
    """The bitstream of a certificate. UserError unless it has the digest that the certificate says."""
    path = directory / BITSTREAM_FILE
    try:
        data = read_bytes(path, LARGEST_BITSTREAM_BYTES)
    except OSError:
        raise UserError(f"{path}: expected the bitstream of the certificate, found no file") from None
    expect(str(path), sha256, digest_bytes(data))
    return data


def stored(path: Path, directory: Path) -> StoredFile:
    """A file as a certificate in `directory` names it."""
    return StoredFile(path=os.path.relpath(path.resolve(), directory.resolve()), sha256=digest_file(path))


def as_it_was(file: StoredFile, directory: Path) -> Path:
    """The path of a file that a certificate in `directory` names. UserError unless it is there and as it was."""
    path = directory / file.path
    expected = f"{path}: expected a file with SHA-256 {file.sha256}"
    try:
        check_file(path)
    except OSError:
        raise UserError(f"{expected}, found none: restore it or make it") from None
    except UnfitFileError as error:
        raise UserError(f"{expected}, found {error.found}: restore it") from None
    expect(str(path), file.sha256, digest_file(path))
    return path
