"""The entities of one crate, each once: its files in their directories, and its runs with the scripts that ran."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from certifuse.base.digests import canonical_json, digest_bytes
from certifuse.base.fingerprint import source_fingerprint
from certifuse.cli.crate import entities
from certifuse.cli.crate.contents import WORKFLOW, Contents
from certifuse.cli.crate.entities import Entity, local, reference, references
from certifuse.cli.provenance.runs import Run, Stored

SCRIPTS = "workflow/scripts"
COMPLETED = "http://schema.org/CompletedActionStatus"
UNITS = {"wall_s": "http://qudt.org/vocab/unit/SEC", "peak_memory_bytes": "http://qudt.org/vocab/unit/BYTE"}
USAGE = {"wall_s": "wall time in seconds", "peak_memory_bytes": "peak memory in bytes"}
DIRECTORIES = {
    "certificates": "Certificates and their bitstreams.",
    "csv_logs": "One row for each epoch of every training.",
    "figures": "Every figure as PNG and PDF.",
    "fusion_checkpoints": "Components of the fused networks, and the manifests of their training.",
    "lib": "The library that the scripts call.",
    "metrics": "Scores of every cell, and the gathered tables.",
    "rules": "The rules of the workflow.",
    "tables": "Every table as CSV and LaTeX.",
    "workflow": "The scripts of the steps, and the captions of the report.",
}


class Recorded(NamedTuple):
    """A run in the crate: the script, what it did, and that the workflow made it do so."""

    run: Run
    script: Entity
    action: Entity
    control: Entity


@dataclass
class Graph:
    """Entities by identifier, in the order in which they were first needed."""

    contents: Contents
    entities: dict[str, Entity] = field(default_factory=dict)

    def add(self, entity: Entity) -> Entity:
        """The entity, which is there from now on."""
        return self.entities.setdefault(entity["@id"], entity)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of the source that the crate contains, of each script by its file name."""
        return {path.name: source_fingerprint(path) for path in sorted((WORKFLOW / SCRIPTS).glob("*.py"))}

    def file(self, name: str, /, **more: Any) -> Entity:
        """A file of the crate by its name there."""
        path = self.contents.files[name]
        entity = self.add(entities.file(name, path.stat().st_size, self.contents.digests[name]))
        entity |= more
        return entity

    def stored(self, stored: Stored) -> Entity:
        """A file as a run met it: the one in the crate if it is that, otherwise a description of it."""
        name = f"{self.contents.results}/{stored.path}"
        contained = name in self.contents.files and stored.sha256 in (None, self.contents.digests[name])
        return self.file(name) if contained else self.add(entities.absent_file(name, stored.sha256))

    def script(self, run: Run) -> Entity:
        """The script that ran, in the version that ran."""
        known = self.fingerprints.get(run.script)
        name, version = f"{SCRIPTS}/{run.script}", run.source or "unknown"
        if run.source == known and known is not None:
            return self.file(name, **{"@type": ["File", "SoftwareSourceCode"], "version": known})
        entity = {"@id": local("script", f"{run.script}/{version}"), "@type": "SoftwareSourceCode", "version": version}
        description = f"{run.script} with the library as it was, fingerprint {version}: not the source in this crate."
        return self.add(entity | {"name": run.script, "description": description})

    def run(self, run: Run) -> Recorded:
        """A run: a CreateAction of its script, and a ControlAction of the workflow."""
        script, step = self.script(run), self.step(run)
        made = [f"{self.contents.results}/{path}" for path in self.contents.made.get(run.record, ())]
        read = [self.stored(file) for file in run.inputs]
        unkept = [file for file in run.outputs if f"{self.contents.results}/{file.path}" not in self.contents.files]
        written = [*(self.file(name) for name in made), *(self.stored(file) for file in unkept)]
        times = {key: time for key, time in (("startTime", run.started), ("endTime", run.finished)) if time}
        action = {
            "@id": local("run", run.record),
            "@type": "CreateAction",
            "name": run.label,
            "description": _command(run),
            "instrument": reference(script),
            "object": references([*read, *self.circumstances(run)]),
            "result": references(written),
            "actionStatus": COMPLETED,
            **times,
        }
        usage = self.usage(run)
        action |= {"resourceUsage": references(usage)} if usage else {}
        control: Entity = {
            "@id": local("control", run.record),
            "@type": "ControlAction",
            "name": f"The workflow runs {run.label}",
        }
        control |= {"instrument": reference(step), "object": reference(action), "actionStatus": COMPLETED}
        return Recorded(run, script, self.add(action), self.add(control))

    def step(self, run: Run) -> Entity:
        """The step of the workflow that a run is of."""
        step = self.add({"@id": local("step", run.step), "@type": "HowToStep", "name": run.step, "workExample": []})
        script = reference(self.script(run))
        step["workExample"] += [script] if script not in step["workExample"] else []
        return step

    def circumstances(self, run: Run) -> list[Entity]:
        """Settings, commit and runtime of a run."""
        found = []
        if run.settings is not None and run.settings_digest is not None:
            text = canonical_json(run.settings)
            found.append(entities.property_value("settings", f"settings of {run.step}", run.settings_digest, text))
        if run.git.get("commit"):
            text = canonical_json(run.git)
            key = f"{run.git['commit']}/{run.git.get('diff_sha256') or 'clean'}"
            found.append(entities.property_value("commit", "git commit, and what differed from it", key, text))
        if run.runtime:
            text = canonical_json(run.runtime)
            key = digest_bytes(text.encode())[:16]
            found.append(entities.property_value("runtime", "device and switches", key, text))
        return [self.add(entity) for entity in found]

    def usage(self, run: Run) -> list[Entity]:
        """What a run took."""
        return [
            self.add(
                entities.property_value("usage", USAGE[key], f"{run.record}/{key}", repr(value))
                | {"propertyID": key, "unitCode": UNITS[key]}
            )
            for key, value in (("wall_s", run.wall_s), ("peak_memory_bytes", run.peak_memory_bytes))
            if value is not None
        ]

    def packages(self, runs: Iterable[Run]) -> list[Entity]:
        """Every package in every version that a run had."""
        versions = [run.environment.get("packages") or {} for run in runs]
        found = sorted({(name, version) for packages in versions for name, version in packages.items() if version})
        return [self.add(entities.package(name, version)) for name, version in found]

    def parts(self) -> list[Entity]:
        """Every file, in the directories that the root of the crate consists of."""
        parts: dict[str, Entity] = {}
        for name in self.contents.files:
            entity, directory = self.file(name), self.directory(name)
            if directory is None:
                parts[name] = entity
            else:
                part = parts.setdefault(directory["@id"], self.add(directory))
                part["hasPart"].append(reference(entity))
        return list(parts.values())

    def directory(self, name: str) -> Entity | None:
        """The directory that a file is listed under; None for one of the root."""
        below = name.removeprefix(f"{self.contents.results}/")
        first, *others = PurePosixPath(below).parts
        if not others:
            return None
        path = f"{self.contents.results}/{first}" if below != name else first
        entity = {"@id": f"{entities.identifier(path)}/", "@type": "Dataset", "name": path, "hasPart": []}
        return entity | ({"description": DIRECTORIES[first]} if first in DIRECTORIES else {})


def _command(run: Run) -> str:
    words = run.environment.get("command")
    return shlex.join(words) if words else run.snakemake.get("shell") or json.dumps(None)
