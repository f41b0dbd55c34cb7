"""A copy of the session's study, whose certificates real steps made, for an adversary."""

from collections.abc import Iterator
from typing import Any

import pytest
from forger import Forger


@pytest.fixture(scope="module")
def forgers(certified: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Forger]:
    study = certified.copy(tmp_path_factory.mktemp("forged") / "study")
    return {kind: Forger(study, kind) for kind in ("subspace", "joint")}


@pytest.fixture
def forger(forgers: dict[str, Forger], request: pytest.FixtureRequest) -> Iterator[Forger]:
    """All files as they were, before and after."""
    found = forgers[request.param]
    yield found
    found.restore()
