"""One run of one step, as its records tell it."""

from dataclasses import dataclass, field
from typing import Any

from certifuse.base.digests import canonical_json, digest_bytes


@dataclass(frozen=True)
class Stored:
    """A file as a run met it. `path` is from the results directory; `sha256` is None where nobody recorded it."""

    path: str
    sha256: str | None


@dataclass(frozen=True)
class Run:
    """The record of one run; None and empty for what is not recorded.

    `record` is the manifest, from the results directory, and no two runs share one; `job` is the name of the log.
    `names` tell it from others of its step; `snakemake` is what Snakemake recorded beside: command, logs, ...
    """

    step: str
    record: str
    names: dict[str, Any] = field(default_factory=dict)
    job: str | None = None
    settings: dict[str, Any] | None = None
    source: str | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    runtime: dict[str, Any] | None = None
    started: str | None = None
    finished: str | None = None
    wall_s: float | None = None
    peak_memory_bytes: int | None = None
    inputs: tuple[Stored, ...] = ()
    outputs: tuple[Stored, ...] = ()
    snakemake: dict[str, Any] = field(default_factory=dict)

    @property
    def has_manifest(self) -> bool:
        """False where only Snakemake recorded it."""
        return bool(self.environment)

    @property
    def settings_digest(self) -> str | None:
        """Sixteen digits that stand for the settings."""
        return None if self.settings is None else digest_bytes(canonical_json(self.settings).encode())[:16]

    @property
    def git(self) -> dict[str, Any]:
        """Commit, dirty flag and digest of the difference."""
        found: dict[str, Any] = self.environment.get("git") or {}
        return found

    @property
    def packages(self) -> dict[str, str]:
        """The packages that it had, with their versions."""
        return {name: version for name, version in (self.environment.get("packages") or {}).items() if version}

    def written(self, path: str) -> str | None:
        """The digest of a file when the run had written it, where that was recorded."""
        return next((file.sha256 for file in self.outputs if file.path == path), None)

    @property
    def script(self) -> str:
        """The file name of the script that ran."""
        return f"{self.step}.py"

    @property
    def label(self) -> str:
        """The step and what tells its runs apart."""
        names = " ".join(f"{name}={value}" for name, value in self.names.items())
        return f"{self.step} ({names})" if names else self.job or self.step
