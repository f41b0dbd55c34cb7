"""Comparison of a certificate with what is found: the first difference is the error."""

import math
from typing import Any, NoReturn

from certifuse.base.digests import canonical_json
from certifuse.base.errors import UserError

RELATIVE_TOLERANCE = 1e-9
"""Of bounds: they are computed in double precision, whose last digits differ between C libraries."""
ABSENT = object()


def expect(where: str, recorded: Any, found: Any, tolerance: float = RELATIVE_TOLERANCE) -> None:
    """UserError that names the first part of `recorded` that is not the one that was `found`.

    `tolerance` is relative, and of floating-point numbers alone.
    """
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in sorted({*recorded, *found}):
            expect(f"{where}.{key}", recorded.get(key, ABSENT), found.get(key, ABSENT), tolerance)
    elif not _equal(recorded, found, tolerance):
        differs(where, recorded, found)


def _equal(recorded: Any, found: Any, tolerance: float) -> bool:
    if recorded is ABSENT or found is ABSENT:
        return recorded is found
    if isinstance(recorded, float) and isinstance(found, float):
        return math.isclose(recorded, found, rel_tol=tolerance)
    return canonical_json(recorded) == canonical_json(found)


def differs(where: str, recorded: Any, found: Any) -> NoReturn:
    """The error that says so."""
    said, seen = ("nothing" if value is ABSENT else value for value in (recorded, found))
    raise UserError(f"{where}: the certificate says {said}, found {seen}")
