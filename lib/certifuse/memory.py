"""Whether this machine can hold what is about to be made."""

import os

from certifuse.errors import UserError


def memory_bytes() -> int:
    """All memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def require_memory(what: str, needed_bytes: int) -> None:
    """UserError where that is more than all memory of this machine."""
    total = memory_bytes()
    if needed_bytes > total:
        raise UserError(
            f"{what}: needs {needed_bytes} bytes of memory, this machine has {total}: make it smaller, or use a "
            "machine with more"
        )
