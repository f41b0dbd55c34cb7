"""The contents of the crate of a study: files, and the runs that they came from."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.base.fingerprint import LIBRARY, source_fingerprint
from certifuse.cli.crate.checks import check_digests, check_settings
from certifuse.cli.provenance.records import Records
from certifuse.cli.provenance.runs import Run
from certifuse.study.paths import RESUME_DIR
from certifuse.study.steps.step import Step
from certifuse.study.study import Study

WORKFLOW = LIBRARY.parents[1]
SCRIPTS = "workflow/scripts"
SOURCES = (
    *("Snakefile", "rules", "workflow", "lib", "config", "envs", "profiles", "pyproject.toml", "requirements.lock"),
    *("Makefile", "README.md", "LICENSE", "CITATION.cff"),
)
REQUIRED = ("Snakefile", "CITATION.cff")
NOT_SOURCES = {"__pycache__", "certifuse.egg-info"}
NEVER = (RESUME_DIR, "telemetry", "epochs")
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
    made: Mapping[str, tuple[str, ...]]

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by its name in the crate."""
        return {name: digest_file(path) for name, path in self.files.items()}


def contents_of(study: Study, config: Path, root: Path, *, weights: bool, data: bool) -> Contents:
    """The sources of the workflow, the results below `root` and the configuration that they were made with.

    Stored epochs, telemetry and the state of unfinished runs are left out, images and documents too unless asked for:
    whose they are is not ours to say.

    Raises:
        UserError: the results are not those of the configuration, or some have changed since they were made.
    """
    results = study.results_dir if _stays_below(study.results_dir) else root.name
    taken = [path for path in _below(root, set(NEVER)) if _wanted(path.relative_to(root), weights, data)]
    paths = [path.relative_to(root).as_posix() for path in taken]
    name = config.resolve().relative_to(WORKFLOW).as_posix() if config.resolve().is_relative_to(WORKFLOW) else None
    files = dict(_sources()) | {name or f"study/{config.name}": config}
    files |= {f"{results}/{path}": file for path, file in zip(paths, taken, strict=True)}
    records = Records(root)
    runs = {run.record: run for run in records.runs}
    made: dict[str, list[str]] = {record: [] for record in runs}
    for path in paths:
        found = records.maker(path)
        if found is not None:
            runs.setdefault(found[0].record, found[0])
            made.setdefault(found[0].record, []).append(path)
    if records.outdated:
        raise UserError(f"{root}/{records.outdated}")
    if not runs:
        raise UserError(f"{root}: expected the results of a study, found no run: name its results directory")
    frozen = {record: tuple(those) for record, those in made.items()}
    contents = Contents(study, results, name or f"study/{config.name}", files, tuple(runs.values()), frozen)
    check_settings(study, config, contents.runs)
    check_digests(root, contents.runs, {path: contents.digests[f"{results}/{path}"] for path in paths})
    return contents


def fingerprint_here(step: Step) -> str:
    """The fingerprint of the source that a step would run from the sources at hand."""
    return source_fingerprint(WORKFLOW / SCRIPTS / f"{step.rule}.py", step.modules())


def _stays_below(path: str) -> bool:
    return not posixpath.isabs(path) and path.partition("/")[0] not in ("..", ".")


def _below(directory: Path, without: set[str]) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.name not in without:
            yield from _below(path, without) if path.is_dir() else [path]


def _sources() -> Iterator[tuple[str, Path]]:
    for name in REQUIRED:
        if not (WORKFLOW / name).is_file():
            raise UserError(f"{WORKFLOW}: expected the sources of the workflow, found no {name}: use a checkout")
    for name in SOURCES:
        path = WORKFLOW / name
        found = _below(path, NOT_SOURCES) if path.is_dir() else [path] * path.is_file()
        yield from ((file.relative_to(WORKFLOW).as_posix(), file) for file in found)


def _wanted(path: Path, weights: bool, data: bool) -> bool:
    if path.parts[0] == DATA and path.suffix != ".json":
        return data
    return weights or path.suffix != ".safetensors" or path.parts[0] not in WEIGHTS
