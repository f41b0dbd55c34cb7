"""The manifest of a step's run: what it ran with, what it read and wrote, and what that took. One form for every step.

Paths in it are relative to its own directory, so that a results directory can be moved.
"""

import os
import resource
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from certifuse.base.digests import digest_file
from certifuse.base.environment import environment_record
from certifuse.base.errors import UserError
from certifuse.base.files import read_json, write_json
from certifuse.base.sealed import sealed, unsealed

FORMAT = 2
SEAL = "manifest_sha256"
_MEND = "delete it and run the step that writes it"
SHARED_NAME = "{job}_manifest.json"
"""In a directory that several jobs write to, each its own; elsewhere it is `paths.MANIFEST_FILE`."""
HOST = {"device": "cpu", "deterministic": True}
"""The runtime of a step in which no network runs: seeded arithmetic on the host, which no switch changes."""


class Described(Protocol):
    """A step as a manifest describes it: its rule, its settings, and the names of its job."""

    @property
    def rule(self) -> str:
        """The rule of the workflow."""

    def plain(self) -> dict[str, Any]:
        """The settings as plain values."""

    def identity(self) -> dict[str, Any]:
        """Architecture, fusion, lambda, seed, ...: what tells the job from others of its rule."""


@dataclass(frozen=True)
class StepRecord:
    """A run that has begun. Its inputs are digested here, before anything is computed from them.

    Args:
        step: the job.
        source: fingerprint of the source that runs.
        inputs: every file that is read.
    """

    step: Described
    source: str
    inputs: Iterable[Path]
    began_s: float = field(default_factory=time.perf_counter, init=False)
    started: datetime = field(default_factory=lambda: datetime.now(UTC), init=False)
    digests: dict[Path, str] = field(default_factory=dict, init=False)
    data: dict[str, set[str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.digests.update({path: digest_file(path) for path in self.inputs})
        self.data.update(_data_behind(self.digests))

    def write(
        self,
        path: Path,
        outputs: Iterable[Path],
        *,
        runtime: Mapping[str, Any] | None = None,
        peak_memory_bytes: int | None = None,
        data: Mapping[str, Iterable[str]] | None = None,
        found: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the manifest, last of all files of the step.

        Args:
            path: where to.
            outputs: every file that was written.
            runtime: device, precision and determinism (`Runtime.record`), where a network ran.
            peak_memory_bytes: where the device has its own; otherwise that of this process.
            data: SHA-256 of images, splits or corpus, beside what the manifests of the inputs say of them.
            found: what the step found out, under keys of its own: epochs, parameters, ...
        """
        for name, digests in (data or {}).items():
            self.data.setdefault(name, set()).update(digests)
        record = {
            **(found or {}),
            "format": FORMAT,
            "step": self.step.rule,
            "identity": self.step.identity(),
            "settings": self.step.plain(),
            "source_fingerprint": self.source,
            "data_sha256": {name: sorted(digests) for name, digests in self.data.items()},
            "inputs_sha256": {path_from(path.parent, file): digest for file, digest in self.digests.items()},
            "outputs_sha256": {path_from(path.parent, file): digest_file(file) for file in outputs},
            "environment": environment_record(),
            "runtime": dict(runtime or HOST),
            "started": self.started.isoformat(timespec="milliseconds"),
            "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "wall_s": time.perf_counter() - self.began_s,
            "peak_memory_bytes": peak_memory_bytes or peak_resident_bytes(),
        }
        write_manifest(path, record)


def write_manifest(path: Path, record: Mapping[str, Any]) -> None:
    """Write what a run was, atomically, with the digest of all of it."""
    write_json(path, sealed(record, SEAL))


def read_manifest(path: Path) -> dict[str, Any]:
    """Read it back, without the digest.

    Raises:
        UserError: the file is absent, damaged, or another one.
    """
    try:
        record = unsealed(read_json(path), SEAL)
    except (OSError, ValueError):
        raise UserError(f"{path}: expected the manifest of a run, found none or a damaged one: {_MEND}") from None
    if record.get("format") != FORMAT:
        found = record.get("format", "that of an older version")
        raise UserError(f"{path}: expected a manifest of format {FORMAT}, found {found}: run the step that wrote it")
    return record


def check_as_written(path: Path) -> None:
    """UserError unless a file, such as a table, is what the manifest beside it says was written, where one lists it."""
    for manifest in sorted(path.parent.glob("*manifest.json")):
        check_written_by(path, manifest)


def check_written_by(path: Path, manifest: Path) -> None:
    """UserError unless a file has the digest that a manifest lists for it among its outputs, where it lists it."""
    recorded = read_manifest(manifest).get("outputs_sha256", {}).get(path_from(manifest.parent, path))
    if recorded is not None and recorded != digest_file(path):
        raise UserError(f"{path}: its bytes differ from their digest in {manifest}: {_MEND}")


def label(identity: Mapping[str, Any]) -> str:
    """The name of a job in the log: the values that tell it from others, as in `resnet-concatenation-1.0-0`."""
    return "-".join(str(value) for value in identity.values() if value not in ("", None))


def shared_manifest(output: Path) -> Path:
    """The manifest of a job beside its output, named after that."""
    return output.with_name(SHARED_NAME.format(job=output.stem))


def peak_resident_bytes() -> int:
    """Peak of the main memory of this process."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def path_from(directory: Path, file: Path) -> str:
    """The path of a file as a manifest in `directory` gives it."""
    return Path(os.path.relpath(file.resolve(), directory.resolve())).as_posix()


def _data_behind(inputs: Mapping[Path, str]) -> dict[str, set[str]]:
    """The data of the study, as the manifests among the inputs tell, and those beside them that list them as read."""
    read: dict[Path, dict[str, str]] = {}
    for path, digest in inputs.items():
        read.setdefault(path.parent, {})[path.name] = digest
    found: dict[str, set[str]] = {}
    for directory, files in read.items():
        for manifest in directory.glob("*manifest.json"):
            record = _record(manifest)
            if manifest.name in files or files.items() & record.get("outputs_sha256", {}).items():
                for name, digests in record.get("data_sha256", {}).items():
                    found.setdefault(name, set()).update(digests)
    return found


def _record(manifest: Path) -> dict[str, Any]:
    """The content of a manifest; nothing where it is damaged, and what it would tell is not known."""
    try:
        record = read_json(manifest)
    except (OSError, ValueError, UserError):
        return {}
    return record if isinstance(record, dict) else {}
