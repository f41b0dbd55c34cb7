"""All that is recorded in a results directory: its runs, and which of them made a file."""

import os
import posixpath
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from certifuse.base.errors import UserError
from certifuse.cli.provenance.reading import read_run
from certifuse.cli.provenance.runs import Run, Stored
from certifuse.cli.provenance.snakemake_records import SnakemakeRecords
from certifuse.study import paths

WITHIN_A_CELL = {paths.EXPERT_FILE, paths.FUSION_FILE, paths.HEAD_FILE}
TOP = {
    *("figures", "tables", "logs", "benchmarks", "telemetry"),
    *(
        path.partition("/")[0]
        for name, path in vars(paths).items()
        if name.isupper() and "/" in path and path not in WITHIN_A_CELL
    ),
}
"""The directories of a study's results."""
MANIFESTS = ("manifest.json", "_manifest.json", "certificate.json")
NOT_SEARCHED = {paths.RESUME_DIR, "telemetry", "epochs"}
TIME_TOLERANCE_S = 0.01


def results_directory(file: Path) -> Path:
    """The results directory that a file lies in: the nearest above it with two or more of a study's directories.

    Raises:
        UserError: none does.
    """
    for directory in file.resolve().parents:
        if directory.name not in TOP and len(TOP & {path.name for path in directory.iterdir()}) > 1:
            return directory
    raise UserError(f"{file}: expected a file below a study's results, found none of its directories: give --results")


@dataclass(frozen=True)
class Records:
    """What the manifests below `root` say, completed by Snakemake's records where there are some."""

    root: Path

    @cached_property
    def snakemake(self) -> SnakemakeRecords:
        """Snakemake's records."""
        return SnakemakeRecords(self.root)

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Every run that left a manifest."""
        found = {}
        for directory, names, files in os.walk(self.root):
            names[:] = sorted(set(names) - NOT_SEARCHED)
            for name in sorted(files):
                path = posixpath.join(Path(directory).relative_to(self.root).as_posix(), name)
                run = read_run(self.root, posixpath.normpath(path)) if name.endswith(MANIFESTS) else None
                if run is not None:
                    found[run.record] = run
        return tuple(self._timed(run) for run in _with_certificates(found).values())

    @cached_property
    def _by_path(self) -> dict[str, Run]:
        listed = {file.path: run for run in self.runs for file in run.outputs}
        return listed | {run.record: run for run in self.runs}

    @cached_property
    def _by_job(self) -> dict[str, Run]:
        return {run.job: run for run in self.runs if run.job}

    @cached_property
    def _by_directory(self) -> dict[str, Run]:
        owners = Counter(directory for run in self.runs for directory in set(run.directories))
        return {directory: run for run in self.runs for directory in run.directories if owners[directory] == 1}

    def maker(self, path: str) -> tuple[Run, str] | None:
        """The run that made the file at `path` below the results directory, and who says so; None where nobody does."""
        if path in self._by_path:
            return self._by_path[path], "its manifest"
        recorded = self.snakemake.run(path)
        if recorded is not None:
            return self._by_job.get(recorded.job or "", recorded), "Snakemake"
        kind, _, name = path.partition("/")
        job, suffix = posixpath.splitext(name)
        if (kind, suffix) in {("logs", ".log"), ("benchmarks", ".tsv")}:
            if job in self._by_job:
                return self._by_job[job], "the name of its job"
            logged = self.snakemake.run_with_log(path)
            return None if logged is None else (logged, "Snakemake")
        for directory in Path(path).parents:
            if directory.as_posix() in self._by_directory:
                return self._by_directory[directory.as_posix()], "the directory that it lies in"
        return None

    def touched(self, path: str) -> bool:
        """Whether the file has another time than Snakemake saw when it was made."""
        record = self.snakemake.record(path)
        if record is None:
            return False
        changed_s: float = (self.root / path).stat().st_mtime - record["endtime"]
        return abs(changed_s) > TIME_TOLERANCE_S

    def _timed(self, run: Run) -> Run:
        """With what Snakemake knows beside the manifest."""
        for path in (run.record, *(file.path for file in run.outputs)):
            recorded = self.snakemake.run(path)
            if recorded is not None:
                started, finished = run.started or recorded.started, run.finished or recorded.finished
                extra = recorded.snakemake | {"source": recorded.source}
                return replace(run, started=started, finished=finished, snakemake=extra)
        return run


def _with_certificates(found: dict[str, Run]) -> dict[str, Run]:
    """Certificates beside or below the manifest of their run are outputs of it, not runs."""
    runs = dict(found)
    for path, certificate in found.items():
        above = posixpath.join(posixpath.dirname(posixpath.dirname(path)), paths.MANIFEST_FILE)
        if above in runs and path != above and runs[above].step == certificate.step:
            run = runs[above]
            written = _with(run.outputs, (Stored(path, None), *certificate.outputs))
            runs[above] = replace(run, outputs=written, inputs=_with(run.inputs, certificate.inputs))
            del runs[path]
    listed = {file.path for run in runs.values() for file in run.outputs}
    return {path: run for path, run in runs.items() if path not in listed}


def _with(files: tuple[Stored, ...], others: tuple[Stored, ...]) -> tuple[Stored, ...]:
    """Files, and those of the others that are not among them."""
    known = {file.path for file in files}
    return (*files, *(file for file in others if file.path not in known))
