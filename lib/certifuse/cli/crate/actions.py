"""The runs of a study in its crate: for each a CreateAction of its script, which a ControlAction of the workflow began.

As Provenance Run Crate 0.5 has them.
"""

import shlex

from rocrate.model.entity import Entity

from certifuse.base.digests import canonical_json, digest_bytes
from certifuse.cli.crate.contents import SCRIPTS
from certifuse.cli.crate.study_crate import StudyCrate, local
from certifuse.cli.provenance.runs import Run

COMPLETED = "http://schema.org/CompletedActionStatus"
UNIT = "http://qudt.org/vocab/unit/"


def describe_run(crate: StudyCrate, workflow: Entity, run: Run) -> Entity:
    """What the workflow did to run a step: its script, what that read, wrote and took, and under what circumstances."""
    script = crate.link(workflow, "hasPart", _script(crate, run))
    step = crate.link(workflow, "step", crate.describe(local("step", run.step), "HowToStep", name=run.step))
    crate.link(step, "workExample", script)
    for name, version in run.packages.items():
        package = local("package", f"{name}-{version}")
        described = crate.describe(package, "SoftwareApplication", name=name, softwareVersion=version)
        crate.link(workflow, "softwareRequirements", described)
    times = {key: time for key, time in (("startTime", run.started), ("endTime", run.finished)) if time}
    action = crate.add_action(
        script,
        local("run", run.record),
        object=_distinct([*map(crate.stored, run.inputs), *_circumstances(crate, run)]),
        result=_distinct(_written(crate, run)),
        properties={"name": run.label, "description": _command(run), "actionStatus": COMPLETED, **times},
    )
    if usage := _usage(crate, run):
        action["resourceUsage"] = usage
    return crate.describe(
        local("control", run.record),
        "ControlAction",
        name=f"The workflow runs {run.label}",
        instrument=step,
        object=action,
        actionStatus=COMPLETED,
    )


def _script(crate: StudyCrate, run: Run) -> Entity:
    """The script that ran, in the version that ran."""
    if crate.contents.has_source_of(run):
        return crate.file(f"{SCRIPTS}/{run.script}")
    source = run.source or "unknown"
    about = f"{run.script} with the library as it was, fingerprint {source}: not known to be the source in this crate."
    identifier = local("script", f"{run.script}/{source}")
    return crate.describe(identifier, "SoftwareSourceCode", name=run.script, version=source, description=about)


def _written(crate: StudyCrate, run: Run) -> list[Entity]:
    """The files of the crate that it made, and those that it made and that are left out."""
    results, files = crate.contents.results, crate.contents.files
    made = [crate.file(f"{results}/{path}") for path in crate.contents.made.get(run.record, ())]
    return [*made, *(crate.stored(file) for file in run.outputs if f"{results}/{file.path}" not in files)]


def _circumstances(crate: StudyCrate, run: Run) -> list[Entity]:
    """Source, settings, commit and runtime of a run, as far as they are known."""
    commit, runtime = run.git.get("commit"), canonical_json(run.runtime)
    told = {
        "source": (run.source, "fingerprint of the source that ran", run.source or ""),
        "settings": (run.settings_digest, f"settings of {run.step}", canonical_json(run.settings)),
        "commit": (
            commit and f"{commit}/{run.git.get('diff_sha256') or 'clean'}",
            "git commit, and what differed from it",
            canonical_json(run.git),
        ),
        "runtime": (run.runtime and digest_bytes(runtime.encode())[:16], "device and switches", runtime),
    }
    return [crate.value(kind, key, name, text) for kind, (key, name, text) in told.items() if key]


def _usage(crate: StudyCrate, run: Run) -> list[Entity]:
    """Wall time and peak memory of a run."""
    took = {
        "wall_s": (run.wall_s, "wall time in seconds", "SEC"),
        "peak_memory_bytes": (run.peak_memory_bytes, "peak memory in bytes", "BYTE"),
    }
    return [
        crate.value("usage", f"{run.record}/{key}", name, repr(value), propertyID=key, unitCode=f"{UNIT}{unit}")
        for key, (value, name, unit) in took.items()
        if value is not None
    ]


def _command(run: Run) -> str:
    words = run.environment.get("command")
    return shlex.join(words) if words else run.snakemake.get("shell") or "Its command is not recorded."


def _distinct(entities: list[Entity]) -> list[Entity]:
    return list({entity.id: entity for entity in entities}.values())
