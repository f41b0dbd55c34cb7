"""Checks that a study is what its records say, before it is packed."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError
from certifuse.cli.provenance.manifests import job_template
from certifuse.cli.provenance.runs import Run
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.study.settings.fusion import FUSIONS
from certifuse.study.steps.registry import STEPS
from certifuse.study.steps.step import Step
from certifuse.study.study import Study

KNOWN_NAMES = {"architecture": "|".join(ARCHITECTURE_SETTINGS), "fusion": "|".join(FUSIONS)}
"""Wildcards that the name of a job does not set apart from one another; all others are numbers or stand at its end."""


def step_of(study: Study, run: Run) -> Step | None:
    """The step that a study has a run of; None where it has none, or nothing tells which job it was."""
    try:
        return STEPS[run.step].of(study, run.names if run.has_manifest else _names_in(run))
    except (KeyError, AttributeError, AssertionError, ValueError):  # a rule, name or section that this study has not
        return None


def _names_in(run: Run) -> Mapping[str, str]:
    """The names that tell a run without a manifest from others of its rule, read from that of its job."""
    template = re.escape(job_template(run.step))
    pattern = re.sub(r"\\{(\w+)\\}", lambda found: f"(?P<{found[1]}>{KNOWN_NAMES.get(found[1], '.+?')})", template)
    found = re.fullmatch(pattern, run.job or "")
    if found is None:
        raise ValueError(f"expected the name of a job of {run.step}, found {run.job}")
    return found.groupdict()


def check_settings(study: Study, config: Path, runs: Iterable[Run]) -> None:
    """UserError where a run of one of the steps had other settings than this configuration gives it."""
    for run in runs:
        step, settings = step_of(study, run), run.settings
        if step is None and run.step in STEPS:
            raise UserError(
                f"{config}: expected the configuration of these results, found one without {run.label}: give theirs "
                "with --configfile, or remove what is of another study"
            )
        if step is not None and settings is not None and step.plain() != settings:
            name, here, found = next(_differences(step.plain(), settings))
            raise UserError(
                f"{config}: expected the configuration of these results, found another: {name} is {here} there and "
                f"was {found} in {run.label}: give theirs with --configfile, or run what has changed"
            )


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
            sha256, maker = written.get(file.path, (None, run))
            if None not in (sha256, file.sha256) and sha256 != file.sha256:
                raise UserError(
                    f"{root / file.path}: {run.label} read another one than {maker.label} wrote: run snakemake again"
                )
