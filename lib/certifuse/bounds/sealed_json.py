"""The JSON of a certificate: one canonical form, sealed by its own digest, whatever kind of certificate it is."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from certifuse.errors import UserError
from certifuse.provenance import canonical_json, digest_bytes, write_text
from certifuse.settings.base import Settings, SettingsType

FORMAT = 1
SEAL = "sha256"


def write_sealed_json(path: Path, value: Settings) -> None:
    """Write a value that has a field `format`, atomically, with its seal."""
    write_text(path, _text(value.plain()))


def read_sealed_json(path: Path, model: type[SettingsType]) -> SettingsType:
    """Read it back.

    Raises:
        UserError: the file is absent, of another format or model, or not byte for byte as it was written.
    """
    try:
        return model.from_json(canonical_json(sealed_content(path)))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {where}: {first['msg']}: make it again") from None


def sealed_content(path: Path) -> dict[str, Any]:
    """What a file says, of whatever model. UserError as in `read_sealed_json`."""
    try:
        data = path.read_bytes()
    except OSError:
        raise UserError(f"{path}: expected a certificate, found no file: name the directory of one") from None
    try:
        content: dict[str, Any] = json.loads(data)
        seal = content.pop(SEAL)
        sealed = seal == _seal(content) and data == _text(content).encode()
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise UserError(f"{path}: expected a certificate, found a damaged file: make it again") from None
    if content.get("format") != FORMAT:
        raise UserError(f"{path}: expected a certificate of format {FORMAT}, found {content.get('format')!r}")
    if not sealed:
        raise UserError(f"{path}: its bytes differ from those that were written (its seal differs): make it again")
    return content


def _seal(content: dict[str, Any]) -> str:
    return digest_bytes(canonical_json(content).encode())


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content | {SEAL: _seal(content)}, indent=2, sort_keys=True, allow_nan=False) + "\n"
