"""The runs of a study from the manifests that its steps left."""

import posixpath
from collections.abc import Mapping
from pathlib import Path

from certifuse.base.errors import UserError
from certifuse.base.files import read_json
from certifuse.base.manifest import FORMAT, read_manifest
from certifuse.cli.provenance.runs import Run, Stored
from certifuse.study import tasks


def read_run(root: Path, path: str) -> Run | None:
    """The run whose manifest is at `path` below `root`; None where the file is none of a run, damaged, or outdated."""
    try:
        manifest = read_manifest(root / path)
    except UserError:
        return None
    return Run(
        **{key: manifest[key] for key in ("step", "settings", "environment", "runtime", "started", "finished")},
        record=path,
        names=manifest["identity"],
        job=job_template(manifest["step"]).format(**manifest["identity"]),
        source=manifest["source_fingerprint"],
        wall_s=manifest.get("training_wall_s", manifest["wall_s"]),
        peak_memory_bytes=manifest["peak_memory_bytes"],
        inputs=_listed(path, manifest["inputs_sha256"]),
        outputs=_listed(path, manifest["outputs_sha256"]),
    )


def is_outdated(file: Path) -> bool:
    """True for the manifest of a run that an older version of this software wrote."""
    try:
        manifest = read_json(file)
    except (OSError, ValueError, UserError):
        return False
    return isinstance(manifest, dict) and "source_fingerprint" in manifest and manifest.get("format") != FORMAT


def job_template(step: str) -> str:
    """The name of the jobs of a step, and so of their logs, as the rules have it."""
    template: str = getattr(tasks, step.upper(), step)
    return template


def _listed(path: str, digests: Mapping[str, str]) -> tuple[Stored, ...]:
    directory = posixpath.dirname(path)
    return tuple(Stored(posixpath.normpath(posixpath.join(directory, name)), sha) for name, sha in digests.items())
