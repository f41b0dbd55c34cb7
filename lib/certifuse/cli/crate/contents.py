"""The contents of the crate of a study: files, and the runs that they came from."""

import posixpath
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.base.fingerprint import LIBRARY, source_fingerprint
from certifuse.cli.crate.checks import check_digests, check_settings, step_of
from certifuse.cli.provenance.records import NOT_SEARCHED, Records
from certifuse.cli.provenance.runs import Run
from certifuse.study.study import Study

SCRIPTS = "workflow/scripts"
SOURCES = (
    *("Snakefile", "rules", "workflow", "config", "envs", "profiles", "pyproject.toml", "requirements.lock"),
    *("Makefile", "README.md", "LICENSE", "CITATION.cff"),
)
REQUIRED = ("Snakefile", "CITATION.cff")
DATA = "data"
WEIGHTS = ("experts", "experts_finetuned", "fusion_checkpoints", "sublora")


@dataclass(frozen=True)
class Contents:
    """The files of a crate and the runs that they came from.

    `files` are by their names in the crate, `made` by the record of the run, from the results directory; `results` is
    the name of that directory and `config` that of the configuration in the crate.
    """

    study: Study
    results: str
    config: str
    files: Mapping[str, Path]
    runs: tuple[Run, ...]
    made: Mapping[str, list[str]]

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by its name in the crate."""
        return {name: digest_file(path) for name, path in self.files.items()}

    def has_source_of(self, run: Run) -> bool:
        """True where these sources are those that ran."""
        step, script = step_of(self.study, run), self.files.get(f"{SCRIPTS}/{run.script}")
        if step is None or script is None:
            return False
        return run.source == source_fingerprint(script, step.modules())


def contents_of(study: Study, config: Path, root: Path, *, weights: bool, data: bool) -> Contents:
    """The sources of the workflow, the results below `root` and the configuration that they were made with.

    Stored epochs, telemetry and the state of unfinished runs are left out, images and documents too unless asked for:
    whose they are is not ours to say.

    Raises:
        UserError: the results are not those of the configuration, or some have changed since they were made.
    """
    workflow, config_file = workflow_directory(), config.resolve()
    results = study.results_dir if _stays_below(study.results_dir) else root.name
    own = config_file.is_relative_to(workflow)
    name = config_file.relative_to(workflow).as_posix() if own else f"study/{config.name}"
    found_below = (path.relative_to(root) for path in _below(root, NOT_SEARCHED))
    paths = [path.as_posix() for path in found_below if _wanted(path, weights, data)]
    files = _sources(workflow) | {name: config} | {f"{results}/{path}": root / path for path in paths}
    records = Records(root)
    runs = {run.record: run for run in records.runs}
    made: dict[str, list[str]] = {}
    for path in paths:
        if found := records.maker(path):
            runs.setdefault(found[0].record, found[0])
            made.setdefault(found[0].record, []).append(path)
    if records.outdated:
        raise UserError(f"{root}/{records.outdated}")
    if not runs:
        raise UserError(f"{root}: expected the results of a study, found no run: name its results directory")
    contents = Contents(study, results, name, files, tuple(runs.values()), made)
    check_settings(study, config, contents.runs)
    check_digests(root, contents.runs, {path: contents.digests[f"{results}/{path}"] for path in paths})
    return contents


def workflow_directory() -> Path:
    """The checkout of the workflow: the one that this library lies in, or else, as it is installed, where we are.

    Raises:
        UserError: there is none.
    """
    places = (LIBRARY.parents[1], Path.cwd())
    for place in places:
        if all((place / name).is_file() for name in REQUIRED):
            return place
    raise UserError(
        f"{places[-1]}: expected the sources of the workflow ({', '.join(REQUIRED)}), found none: run it in a checkout"
    )


def _stays_below(path: str) -> bool:
    return not posixpath.isabs(path) and path.partition("/")[0] not in ("..", ".")


def _below(path: Path, without: Collection[str] = ("__pycache__",)) -> Iterator[Path]:
    """All files at or below a path."""
    if path.is_file():
        yield path
    elif path.is_dir():
        for inner in sorted(path.iterdir()):
            if inner.name not in without:
                yield from _below(inner, without)


def _sources(workflow: Path) -> dict[str, Path]:
    """The sources by their names in the crate; the library is the one that is running."""
    own = [path for name in SOURCES for path in _below(workflow / name)]
    library = {f"lib/certifuse/{path.relative_to(LIBRARY).as_posix()}": path for path in _below(LIBRARY)}
    return {path.relative_to(workflow).as_posix(): path for path in own} | library


def _wanted(path: Path, weights: bool, data: bool) -> bool:
    if path.parts[0] == DATA and path.suffix != ".json":
        return data
    return weights or path.suffix != ".safetensors" or path.parts[0] not in WEIGHTS
