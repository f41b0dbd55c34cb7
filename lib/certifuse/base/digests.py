"""Canonical JSON and SHA-256."""

import hashlib
import json
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError
from certifuse.base.files import open_file


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces, no NaN. Two equal settings always give equal strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_bytes(data: bytes | memoryview) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file, read in blocks. UserError where there is none, or something else in its place."""
    try:
        with open_file(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        found = "expected a file, found none: check the path, or run the step that writes it"
        raise UserError(f"{path}: {found}") from None
