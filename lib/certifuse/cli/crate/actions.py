"""The runs of a study in its crate: for each a CreateAction of its script, which a ControlAction of the workflow began.

As Provenance Run Crate 0.5 has them.
"""

import json
import shlex
from typing import Any, NamedTuple

from rocrate.model.entity import Entity

from certifuse.base.digests import canonical_json, digest_bytes
from certifuse.cli.crate.checks import step_of
from certifuse.cli.crate.contents import SCRIPTS, fingerprint_here
from certifuse.cli.crate.study_crate import StudyCrate, distinct, local
from certifuse.cli.provenance.runs import Run

COMPLETED = "http://schema.org/CompletedActionStatus"
UNITS = {"wall_s": "http://qudt.org/vocab/unit/SEC", "peak_memory_bytes": "http://qudt.org/vocab/unit/BYTE"}
USAGE = {"wall_s": "wall time in seconds", "peak_memory_bytes": "peak memory in bytes"}


class Described(NamedTuple):
    """A run with the entities that describe it."""

    run: Run
    script: Entity
    step: Entity
    control: Entity


def describe_run(crate: StudyCrate, run: Run) -> Described:
    """Add a run: what it read and wrote, its circumstances, what it took, and that the workflow made it."""
    script = _script(crate, run)
    step = crate.describe(local("step", run.step), "HowToStep", name=run.step)
    if script not in step.get("workExample", []):
        step.append_to("workExample", script)
    action = crate.add_action(
        script,
        local("run", run.record),
        object=distinct([*map(crate.stored, run.inputs), *_circumstances(crate, run)]),
        result=distinct(_written(crate, run)),
        properties={"name": run.label, "description": _command(run), "actionStatus": COMPLETED, **_times(run)},
    )
    if usage := _usage(crate, run):
        action["resourceUsage"] = usage
    control = crate.describe(
        local("control", run.record),
        "ControlAction",
        name=f"The workflow runs {run.label}",
        instrument=step,
        object=action,
        actionStatus=COMPLETED,
    )
    return Described(run, script, step, control)


def _script(crate: StudyCrate, run: Run) -> Entity:
    """The script that ran, in the version that ran."""
    source, step = run.source or "unknown", step_of(crate.contents.study, run)
    if step is not None and source == fingerprint_here(step):
        return crate.file(f"{SCRIPTS}/{run.script}")
    about = f"{run.script} with the library as it was, fingerprint {source}: not known to be the source in this crate."
    identifier = local("script", f"{run.script}/{source}")
    return crate.describe(identifier, "SoftwareSourceCode", name=run.script, version=source, description=about)


def _written(crate: StudyCrate, run: Run) -> list[Entity]:
    """The files of the crate that it made, and those that it made and that are left out."""
    results, files = crate.contents.results, crate.contents.files
    made = [crate.file(f"{results}/{path}") for path in crate.contents.made.get(run.record, ())]
    return [*made, *(crate.stored(file) for file in run.outputs if f"{results}/{file.path}" not in files)]


def _circumstances(crate: StudyCrate, run: Run) -> list[Entity]:
    """Source, settings, commit and runtime of a run."""
    found = []
    if run.source:
        found.append(crate.value("source", run.source, "fingerprint of the source that ran", run.source))
    if run.settings is not None and run.settings_digest is not None:
        text = canonical_json(run.settings)
        found.append(crate.value("settings", run.settings_digest, f"settings of {run.step}", text))
    if run.git.get("commit"):
        key = f"{run.git['commit']}/{run.git.get('diff_sha256') or 'clean'}"
        found.append(crate.value("commit", key, "git commit, and what differed from it", canonical_json(run.git)))
    if run.runtime:
        text = canonical_json(run.runtime)
        found.append(crate.value("runtime", digest_bytes(text.encode())[:16], "device and switches", text))
    return found


def _usage(crate: StudyCrate, run: Run) -> list[Entity]:
    """Wall time and peak memory of a run."""
    took = {"wall_s": run.wall_s, "peak_memory_bytes": run.peak_memory_bytes}
    return [
        crate.value("usage", f"{run.record}/{key}", USAGE[key], repr(value), propertyID=key, unitCode=UNITS[key])
        for key, value in took.items()
        if value is not None
    ]


def _times(run: Run) -> dict[str, Any]:
    return {key: time for key, time in (("startTime", run.started), ("endTime", run.finished)) if time}


def _command(run: Run) -> str:
    words = run.environment.get("command")
    return shlex.join(words) if words else run.snakemake.get("shell") or json.dumps(None)
