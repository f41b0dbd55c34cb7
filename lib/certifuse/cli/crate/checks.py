"""Checks that a study is what its records say, before it is packed."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError
from certifuse.cli.provenance.runs import Run
from certifuse.study.steps.registry import STEPS
from certifuse.study.steps.step import Step
from certifuse.study.study import Study


def step_of(study: Study, run: Run) -> Step | None:
    """The step that a study has a run of; None where it has none, or nothing tells which job it was."""
    try:
        return STEPS[run.step].of(study, run.names) if run.has_manifest else None
    except (KeyError, AttributeError, AssertionError):  # a rule, name or section that this study has not
        return None


def check_settings(study: Study, config: Path, runs: Iterable[Run]) -> None:
    """UserError where a run had other settings than this configuration gives it."""
    for run in runs:
        wanted, settings = _expected(study, run), run.settings
        if wanted is None and run.has_manifest:
            raise UserError(
                f"{config}: expected the configuration of these results, found one without {run.label}: give theirs "
                "with --configfile, or remove what is of another study"
            )
        if wanted is not None and settings is not None and json.loads(wanted) != settings:
            name, here, found = next(_differences(json.loads(wanted), settings))
            raise UserError(
                f"{config}: expected the configuration of these results, found another: {name} is {here} there and "
                f"was {found} in {run.label}: give theirs with --configfile, or run what has changed"
            )


def _expected(study: Study, run: Run) -> str | None:
    """The settings that the rules give to the step, as far as it is known here."""
    step = step_of(study, run)
    return None if step is None else step.text


def _differences(wanted: Any, found: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            below = f"{name}.{key}" if name else key
            if key in wanted and key in found:
                yield from _differences(wanted[key], found[key], below)
            else:
                told = [json.dumps(there[key]) if key in there else "absent" for there in (wanted, found)]
                yield below, told[0], told[1]
    elif wanted != found:
        yield name, json.dumps(wanted), json.dumps(found)


def check_digests(root: Path, runs: Sequence[Run], here: Mapping[str, str]) -> None:
    """UserError where a file is not what its run wrote, or a run read something else than the maker of that wrote.

    Args:
        root: the results directory, for messages.
        runs: all of them.
        here: SHA-256 of the files at hand, by their paths from `root`.
    """
    written = {file.path: (file.sha256, run) for run in runs for file in run.outputs if file.sha256}
    for path, (digest, run) in written.items():
        if here.get(path, digest) != digest:
            raise UserError(f"{root / path}: changed since {run.label} wrote it: make it again")
    for run in runs:
        for file in run.inputs:
            found = written.get(file.path)
            if found and file.sha256 not in (None, found[0]):
                raise UserError(
                    f"{root / file.path}: {run.label} read another one than {found[1].label} wrote: run snakemake again"
                )
