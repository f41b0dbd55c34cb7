"""The seal of a JSON object: SHA-256 of the canonical JSON of the rest, under a key of its own.

Anything that changes a value, adds a key or drops one breaks it. Line breaks and the order of keys do not count.
"""

import json
from collections.abc import Mapping
from typing import Any

from certifuse.base.digests import canonical_json, digest_bytes


class SealError(ValueError):
    """A record that is no sealed object, or not the one that was written."""


def sealed(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The content as plain JSON values, whose keys are all text, with its seal under `key`.

    Raises:
        ValueError: `key` is taken, or a value is none of JSON (NaN is none).
    """
    if key in content:
        raise ValueError(f"expected content without the key {key!r} of its seal, found it sealed")
    plain: dict[str, Any] = json.loads(canonical_json(dict(content)))
    return plain | {key: _digest(plain)}


def unsealed(record: Any, key: str) -> dict[str, Any]:
    """The content of a sealed object, without its seal.

    Raises:
        SealError: it is no object, has no seal, or has the seal of another content.
    """
    if not isinstance(record, dict) or key not in record:
        raise SealError(f"expected an object with its seal under {key!r}, found none")
    content = {name: value for name, value in record.items() if name != key}
    try:
        sound = record[key] == _digest(content)
    except (ValueError, RecursionError):  # NaN, or nested beyond what JSON of ours ever is
        sound = False
    if not sound:
        raise SealError(f"the content differs from its seal under {key!r}")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return digest_bytes(canonical_json(content).encode())
