"""The records in a results directory: its runs, and which of them made a file."""

import os
import posixpath
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from certifuse.base.errors import UserError
from certifuse.cli.provenance.manifests import is_outdated, read_run
from certifuse.cli.provenance.runs import Run
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
    """The manifests below `root`, completed by Snakemake's records where there are some."""

    root: Path

    @cached_property
    def snakemake(self) -> SnakemakeRecords:
        """Snakemake's records."""
        return SnakemakeRecords(self.root)

    @cached_property
    def _manifests(self) -> tuple[str, ...]:
        found = []
        for directory, names, files in os.walk(self.root):
            names[:] = sorted(set(names) - NOT_SEARCHED)
            below = Path(directory).relative_to(self.root)
            found += [(below / name).as_posix() for name in sorted(files) if name.endswith(paths.MANIFEST_FILE)]
        return tuple(found)

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Every run that left a manifest."""
        found = (read_run(self.root, path) for path in self._manifests)
        return tuple(self._completed(run) for run in found if run is not None)

    @cached_property
    def outdated(self) -> str | None:
        """A line on the manifests that an older version of this software wrote; None where there is none."""
        found = [path for path in self._manifests if is_outdated(self.root / path)]
        if not found:
            return None
        others = " and others" if len(found) > 1 else ""
        return f"{found[0]}{others}: made by an older version: rerun the steps, or use that version"

    @cached_property
    def _by_path(self) -> dict[str, Run]:
        listed = {file.path: run for run in self.runs for file in run.outputs}
        return listed | {run.record: run for run in self.runs}

    @cached_property
    def _by_job(self) -> dict[str, Run]:
        return {run.job: run for run in self.runs if run.job}

    @cached_property
    def _by_directory(self) -> dict[str, Run]:
        return {
            posixpath.dirname(run.record): run
            for run in self.runs
            if posixpath.basename(run.record) == paths.MANIFEST_FILE
        }

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
        """True where the file has another time than Snakemake saw when it was made."""
        record = self.snakemake.record(path)
        if record is None:
            return False
        changed_s: float = (self.root / path).stat().st_mtime - record["endtime"]
        return abs(changed_s) > TIME_TOLERANCE_S

    def _completed(self, run: Run) -> Run:
        """With what Snakemake knows beside the manifest."""
        for path in (run.record, *(file.path for file in run.outputs)):
            recorded = self.snakemake.run(path)
            if recorded is not None:
                return replace(run, snakemake=recorded.snakemake | {"source": recorded.source})
        return run
