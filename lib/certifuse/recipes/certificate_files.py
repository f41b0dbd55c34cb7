"""The files beside a certificate: its bitstream, and whatever else it names by path and digest."""

import os
from pathlib import Path

from certifuse.bounds.certificate import BITSTREAM_FILE, StoredFile
from certifuse.errors import UserError
from certifuse.provenance import digest_bytes, digest_file, write_bytes
from certifuse.recipes.expectations import expect


def write_bitstream(directory: Path, bitstream: bytes) -> bytes:
    """Write the bitstream of a certificate; what is on disk then."""
    path = directory / BITSTREAM_FILE
    write_bytes(path, bitstream)
    return path.read_bytes()


def read_bitstream(directory: Path, sha256: str) -> bytes:
    """The bitstream of a certificate. UserError unless it has the digest that the certificate says."""
    path = directory / BITSTREAM_FILE
    try:
        data = path.read_bytes()
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
    if not path.is_file():
        raise UserError(f"{path}: expected a file with SHA-256 {file.sha256}, found none: restore it or make it")
    expect(str(path), file.sha256, digest_file(path))
    return path
