"""Checks of a verification, each with what stands in its place where it is taken away."""

from collections.abc import Callable
from typing import Any

from certifuse.certificates.images import checks, issue, sample
from certifuse.certificates.images import verify as verification
from certifuse.data.images import splits as splitting


def nothing(*_: Any, **__: Any) -> None:
    """A check that is taken away."""


Check = tuple[Any, str, Callable[..., Any] | int]
"""Where it is, its name, and what to put there."""

DRAW: Check = (verification, "check_sample", nothing)
COPIES: Check = (sample, "check_copies", nothing)
INDICES: Check = (splitting, "_check_indices", nothing)
EXPERTS: Check = (issue, "check_experts", nothing)
COUNTS: tuple[Check, ...] = ((verification, "_expect_count", nothing), (issue.Claims, "or_worse", lambda self, _: self))
CODE: Check = (verification, "check_code", nothing)
CLAIMS: tuple[Check, ...] = (
    (verification, "check_claims", nothing),
    (issue.Claims, "of", lambda _, recorded: recorded),
)
MODEL: Check = (verification, "check_model", nothing)
LEVELS: Check = (checks, "FEWEST_LEVELS", 1)
"""A vector on one level is as good as any other."""
