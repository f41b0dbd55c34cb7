"""Runs from the manifests that they left.

Two kinds of manifest say it differently: those of `certifuse.base.manifest` name their files by path; those of training
name their inputs (`images`, `expert_0`), whose paths stand in the command that they record.
"""

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certifuse.cli.provenance.runs import Run, Stored
from certifuse.study import paths, tasks
from certifuse.study.paths import BITSTREAM_FILE

NAMES = ("architecture", "fusion", "lambda", "lam", "seed", "member", "d", "mode", "levels")
"""What tells the runs of a step apart, in a manifest of training among everything else."""
NO_OUTPUTS = ("data_sha256", "inputs_sha256", "initial_components_sha256")
NO_NAMES = (None, "", "none")


MANIFEST_OPTIONS = {"manifest": "", "output": "/certificate.json"}


@dataclass(frozen=True)
class Command:
    """A parsed command. `results` is the results directory as it was called when the command ran, if that is known."""

    script: str
    options: Mapping[str, Sequence[str]]
    results: str | None

    @classmethod
    def recorded(cls, words: Sequence[str], record: str) -> "Command":
        """From the words of a command, and the path below the results directory of the manifest that it wrote."""
        options: dict[str, list[str]] = {}
        values: list[str] = []
        for word in words[1:]:
            if word.startswith("--"):
                values = options.setdefault(word.removeprefix("--"), [])
            else:
                values.append(word)
        results = None
        for option, suffix in MANIFEST_OPTIONS.items():
            written = options.get(option, [""])[0] + suffix
            if written == record or written.endswith(f"/{record}"):
                results = written[: -len(record)].rstrip("/") or "."
                break
        return cls(posixpath.splitext(posixpath.basename(words[0]))[0] if words else "", options, results)

    @property
    def step(self) -> str:
        """The rule: the name of its script, but that one script trains both with fusion and without."""
        return "finetune_experts" if self.script == "train_fusion" and "fusion" not in self.options else self.script

    @property
    def job(self) -> str | None:
        """Rule and wildcards, which the directory of the resume state is named after."""
        path = self.path("resume-dir")
        return path.removeprefix(f"{paths.RESUME_DIR}/") if path else None

    def relative(self, path: str) -> str:
        """A path of the command from the results directory; unchanged where that cannot be said."""
        if self.results is None or posixpath.isabs(path) != posixpath.isabs(self.results):
            return path
        return posixpath.relpath(path, self.results)

    def path(self, option: str) -> str | None:
        """The path that an option gives, from the results directory."""
        values = self.options.get(option)
        return self.relative(values[0]) if values else None

    def input(self, name: str) -> str | None:
        """The path of a named input: `expert_1` is the second of `--experts`, any other has its own option."""
        kind, _, index = name.rpartition("_")
        listed = self.options.get(f"{kind}s", [])
        if index.isdecimal() and int(index) < len(listed):
            return self.relative(listed[int(index)])
        return self.path(name)


def read_run(root: Path, path: str) -> Run | None:
    """The run whose manifest is at `path` below `root`; None where the file is no manifest of a run, or damaged."""
    try:
        record = json.loads((root / path).read_text(encoding="utf-8"))
        if not isinstance(record, dict) or "source_fingerprint" not in record:
            return None
        read = _uniform if "step" in record else _certificate if "claim" in record else _training
        return read(root, path, record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _uniform(root: Path, path: str, record: Mapping[str, Any]) -> Run:
    names = _names(record["identity"], record["identity"])
    return Run(
        step=record["step"],
        names=names,
        job=_job(record["step"], names),
        inputs=_listed(path, record["inputs_sha256"]),
        outputs=_listed(path, record["outputs_sha256"]),
        started=record["started"],
        finished=record["finished"],
        wall_s=record["wall_s"],
        **_common(path, record),
    )


def _training(root: Path, path: str, record: Mapping[str, Any]) -> Run:
    command = Command.recorded(record["environment"]["command"], path)
    architecture = record.get("settings", {}).get("architecture", {})
    names = _names({"architecture": architecture.get("name")} | dict(record), NAMES)
    logs = [log for log in [command.path("log-file")] if log]
    return Run(
        step=command.step,
        names=names,
        job=command.job or _job(command.step, names),
        inputs=tuple(_named_inputs(root, command, record)),
        outputs=tuple(_training_outputs(path, command, record)),
        started=record.get("started"),
        finished=record.get("finished"),
        wall_s=record.get("training_wall_s"),
        **_common(path, record, *map(posixpath.dirname, logs)),
    )


def _certificate(root: Path, path: str, record: Mapping[str, Any]) -> Run:
    """A certificate that has no manifest beside or above it is the manifest of its own run."""
    command = Command.recorded(record["environment"]["command"], path)
    names = _names(record["identity"], NAMES)
    return Run(
        step=command.step,
        names=names,
        job=_job(command.step, names),
        inputs=_listed(path, dict(_stored_files(record))),
        outputs=_listed(path, {BITSTREAM_FILE: record["bitstream_sha256"]}),
        **_common(path, record),
    )


def _common(path: str, record: Mapping[str, Any], *directories: str) -> dict[str, Any]:
    own = [posixpath.dirname(path)] if posixpath.basename(path) in ("manifest.json", "certificate.json") else []
    return {
        "record": path,
        "settings": record.get("settings"),
        "source": record["source_fingerprint"],
        "environment": record["environment"],
        "runtime": record.get("runtime"),
        "peak_memory_bytes": record.get("peak_memory_bytes"),
        "directories": (*own, *directories),
    }


def _names(record: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    found = {name: record[name] for name in names if record.get(name) not in NO_NAMES}
    return {"lambda" if name == "lam" else name: value for name, value in found.items()}


def _job(step: str, names: Mapping[str, Any]) -> str:
    """The name of the log, by the templates that the rules use."""
    template = getattr(tasks, step.upper(), step)
    try:
        job: str = template.format(**names, lam=names.get("lambda"))
    except KeyError:
        return step
    return job


def _listed(path: str, digests: Mapping[str, str]) -> tuple[Stored, ...]:
    directory = posixpath.dirname(path)
    return tuple(Stored(posixpath.normpath(posixpath.join(directory, name)), sha) for name, sha in digests.items())


def _stored_files(value: Any) -> Iterator[tuple[str, str]]:
    """Every file that a certificate names, at any depth: path and digest."""
    if isinstance(value, dict) and value.keys() == {"path", "sha256"}:
        yield value["path"], value["sha256"]
    elif isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _stored_files(below)


def _named_inputs(root: Path, command: Command, record: Mapping[str, Any]) -> Iterator[Stored]:
    digests = record.get("inputs_sha256", {})
    for name, digest in digests.items():
        path = command.input(name)
        if path is not None and (root / path).is_dir():
            path = f"{path}/manifest.json"
        yield Stored(path or name, digest)
    for name, digest in record.get("initial_components_sha256", {}).items():
        yield Stored(command.relative(name), digest)


def _training_outputs(path: str, command: Command, record: Mapping[str, Any]) -> Iterator[Stored]:
    for key, value in record.items():
        if key.endswith("_sha256") and isinstance(value, dict) and key not in NO_OUTPUTS:
            yield from _listed(path, value)
    output = command.path("output")
    if output and "component_sha256" in record:
        yield Stored(output, record["component_sha256"])
