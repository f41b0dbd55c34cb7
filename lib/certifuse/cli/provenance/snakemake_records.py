"""Snakemake's records of each file, where its `.snakemake` directory is at hand.

Snakemake 9 keeps one JSON file per output, named by the URL-safe base64 of its path from the working directory, cut
into directories that begin with `@` where a file name would be too long. It holds the rule, the paths of the inputs,
the SHA-256 of inputs below one megabyte, parameters without their names, the shell command and two times; neither
digests of outputs, nor the commit, nor package versions. The format is Snakemake's own and may change (this is version
6), so these records only complete what the manifests say, and one that reads otherwise is taken as absent.
"""

import ast
import os
import posixpath
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError
from certifuse.base.files import parse_json, read_json
from certifuse.cli.provenance.runs import Run, Stored

NAME_MAX = 255
FINGERPRINT = "[0-9a-f]{16}"


@dataclass(frozen=True)
class SnakemakeRecords:
    """The records around a results directory."""

    root: Path

    @cached_property
    def workdir(self) -> Path | None:
        """The nearest directory above that Snakemake has worked in."""
        found = (directory for directory in self.root.parents if (directory / ".snakemake" / "metadata").is_dir())
        return next(found, None)

    def record(self, path: str) -> dict[str, Any] | None:
        """The record of the file at `path` below the results directory."""
        if self.workdir is None:
            return None
        file = self.root / path
        for key in (posixpath.join(os.path.relpath(self.root, self.workdir), path), str(file)):
            record = _read(_place(self.workdir / ".snakemake" / "metadata", key))
            if record is not None:
                return record
        return None

    def run(self, path: str) -> Run | None:
        """The run that made the file at `path` below the results directory."""
        record = self.record(path)
        return None if record is None else self._run(record, path)

    def run_with_log(self, log: str) -> Run | None:
        """A run that wrote the log at `log` below the results directory."""
        if self.workdir is None:
            return None
        for file in (self.workdir / ".snakemake" / "metadata").rglob("*"):
            record = _read(file) if file.is_file() else None
            if record is not None and log in map(self._below, record["log"]):
                return self._run(record, log)
        return None

    def _run(self, record: dict[str, Any], path: str) -> Run:
        settings, source = _settings_and_source(record["params"])
        digests = {name: digest.removeprefix("sha256:") for name, digest in record["input_checksums"].items()}
        logs = [self._below(log) for log in record["log"]]
        job = logs[0].removeprefix("logs/").removesuffix(".log") if logs else path
        return Run(
            step=record["rule"],
            record=f"Snakemake's record of {job}",
            job=job,
            settings=settings,
            source=source,
            started=_time(record["starttime"]),
            finished=_time(record["endtime"]),
            inputs=tuple(Stored(self._below(name), digests.get(name)) for name in record["input"]),
            outputs=(Stored(path, None),),
            snakemake={"shell": record["shellcmd"], "logs": logs},
        )

    def _below(self, path: str) -> str:
        assert self.workdir is not None
        return Path(os.path.relpath(self.workdir / path, self.root)).as_posix()


def _place(directory: Path, key: str) -> Path:
    name = urlsafe_b64encode(key.encode()).decode()
    parts = [name[start : start + NAME_MAX - 1] for start in range(0, len(name), NAME_MAX - 1)]
    return directory.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def _read(file: Path) -> dict[str, Any] | None:
    try:
        record = read_json(file)
        lists = all(isinstance(text, str) for key in ("input", "log", "params") for text in record[key])
        times = all(isinstance(record[key], float) for key in ("starttime", "endtime"))
        texts = isinstance(record["rule"], str) and isinstance(record["input_checksums"], dict)
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return None
    return record if lists and times and texts else None


def _settings_and_source(params: list[str]) -> tuple[dict[str, Any] | None, str | None]:
    """The one parameter that is a JSON object, and the one that is a fingerprint."""
    settings, source = None, None
    for text in params:
        try:
            value = ast.literal_eval(text)
            if isinstance(value, str) and value.startswith("{"):
                settings = settings or parse_json(value)
            elif isinstance(value, str) and re.fullmatch(FINGERPRINT, value):
                source = source or value
        except (ValueError, SyntaxError):
            continue
    return settings, source


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
