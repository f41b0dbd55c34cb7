"""A study in which every rule has really run, as a crate: the public validator accepts it, and no broken one."""

import importlib.resources
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from requests_cache import CachedRequest, CachedResponse, CachedSession

from certifuse.cli.main import main

pytestmark = pytest.mark.slow

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


@pytest.fixture(scope="module")
def crate(whole: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study as a crate, by the command."""
    output = tmp_path_factory.mktemp("crate") / "crate.zip"
    config = whole.root / "config" / "config.yaml"
    command = ("crate", whole.root / "results", "--configfile", config, "--output", output)
    assert main([str(argument) for argument in command]) == 0
    return output


@pytest.fixture(scope="module")
def validate(whole: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Any]:
    """The public validator without a network: the one file that it would fetch is that of another package."""
    content = importlib.resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()
    assert json.loads(content)["@id"] == CONTEXT
    cache, headers = tmp_path_factory.mktemp("cache") / "http", {"Content-Type": "application/ld+json"}
    with CachedSession(cache, backend="sqlite") as session:
        about = {"request": CachedRequest(method="GET", url=CONTEXT), "url": CONTEXT, "status_code": 200}
        session.cache.save_response(CachedResponse(content=content, headers=headers, **about))
    options = ("--offline", "--cache-path", str(cache), "-p", "provenance-run-crate-0.5", "--no-paging")
    return lambda path: whole.run("rocrate-validator", "-y", "validate", *options, str(path))


def with_metadata(crate: Path, output: Path, change: Callable[[str], str]) -> Path:
    """A copy of a crate with other metadata."""
    with zipfile.ZipFile(crate) as source, zipfile.ZipFile(output, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, change(data.decode()) if name == "ro-crate-metadata.json" else data)
    return output


def without_date(metadata: str) -> str:
    """Nobody knows when it was published."""
    content = json.loads(metadata)
    del next(entity for entity in content["@graph"] if entity["@id"] == "./")["datePublished"]
    return json.dumps(content)


def test_the_public_validator_accepts_the_crate(crate: Path, validate: Callable[[Path], Any]) -> None:
    done = validate(crate)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is a valid provenance-run-crate-0.5" in done.stdout


@pytest.mark.parametrize("change", [lambda text: text[:-20], without_date], ids=["cut off", "no date"])
def test_the_public_validator_refuses_broken_metadata(
    crate: Path, validate: Callable[[Path], Any], tmp_path: Path, change: Callable[[str], str]
) -> None:
    """The negative control. Status 1 is that of a crate that is not valid, 2 that of a validator that failed."""
    done = validate(with_metadata(crate, tmp_path / "broken.zip", change))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "is not a valid provenance-run-crate-0.5" in done.stdout


def test_the_crate_has_the_runs_of_the_study(crate: Path, records: Any) -> None:
    with zipfile.ZipFile(crate) as archive:
        graph = {entity["@id"]: entity for entity in json.loads(archive.read("ro-crate-metadata.json"))["@graph"]}
    actions = [one for one in graph.values() if one["@type"] == "CreateAction" and one["@id"] != "#execution"]
    assert {action["@id"] for action in actions} == {f"#run/{run.record}" for run in records.runs}
    scripts = {action["instrument"]["@id"] for action in actions}
    assert scripts == {f"workflow/scripts/{run.step}.py" for run in records.runs}
    assert all(graph[script]["@type"] == ["File", "SoftwareSourceCode"] for script in scripts), "the source that ran"
    assert all(action["startTime"] < action["endTime"] for action in actions)
