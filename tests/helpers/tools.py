"""Programs that some tests need."""

import os
import shutil

import pytest


def needs(program: str, package: str | None = None) -> None:
    """Skip without a program, except in CI, which has them all."""
    if shutil.which(program) is None and not os.environ.get("CERTIFUSE_REQUIRE_TOOLS"):
        pytest.skip(f"{program} is not installed" + (f" ({package})" if package else ""))
