"""Gather the files of all cells and families into one table each, and list the cells that have none.

Reads the metrics, logs and manifests below the results directory; writes `metrics/*.csv` and a manifest. Seconds.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from certifuse.base.manifest import SHARED_NAME, StepRecord, check_as_written, check_written_by, read_manifest
from certifuse.base.rows import read_rows, write_rows
from certifuse.study import paths
from certifuse.study.cells import BASELINE, FINETUNED, JOINT, Cell, Family
from certifuse.study.steps.gathering import Gather, GatheringFiles

KEYS = ("architecture", "fusion", "lambda", "seed")
COLUMNS = {
    paths.SUMMARY: (*KEYS, "predictor", "metric", "value"),
    paths.CALIBRATION: (*KEYS, "predictor", "calibrated", "bin", "count", "mean_confidence", "accuracy"),
    paths.PER_CLASS: (*KEYS, "predictor", "class", "superclass", "count", "accuracy"),
}
COST_COLUMNS = (
    *(*KEYS, "training", "parameters", "epochs_run", "best_epoch", "training_wall_s", "images_per_second"),
    *("peak_memory_bytes", "device", "precision", "channels_last", "compile", "threads"),
)
SOURCES = {
    paths.SUMMARY: "metrics.csv",
    paths.CALIBRATION: "calibration.csv",
    paths.PER_CLASS: "per_class.csv",
}


def gather(step: Gather, files: GatheringFiles) -> None:
    """Write the gathered tables below the results directory."""
    cells, results = step.cells, files.results_dir
    cell_directories = {cell: results / paths.CELL_METRICS.format(**cell.names()) for cell in cells}
    families = dict.fromkeys(Family(cell.architecture, cell.seed) for cell in cells)
    directories = [results / paths.BASELINE_METRICS.format(**family.names()) for family in families]
    directories += list(cell_directories.values())
    trained = dict(_trained(results, step))
    record = StepRecord(step, files.source, [*_sources(results, cells, directories), *trained])
    for target, source in SOURCES.items():
        write_rows(results / target, _rows(directory / source for directory in directories), COLUMNS[target])
    logs = [row for cell in cells for row in _log_rows(results, cell)]
    write_rows(results / paths.LOGS, logs, list(dict.fromkeys(key for row in logs for key in row)) or ["epoch"])
    costs = [{**names, **_cost(manifest)} for manifest, names in trained.items()]
    write_rows(results / paths.COSTS, costs, COST_COLUMNS)
    missing = [cell for cell, directory in cell_directories.items() if not (directory / "metrics.csv").is_file()]
    write_rows(results / paths.MISSING, [_missing(results, cell) for cell in missing], (*KEYS, "reason"))
    written = [results / table for table in (*SOURCES, paths.LOGS, paths.COSTS, paths.MISSING)]
    record.write((results / paths.SUMMARY).with_name(SHARED_NAME.format(job=step.rule)), written)


def _sources(results: Path, cells: Iterable[Cell], directories: Iterable[Path]) -> list[Path]:
    """Every file that is gathered: those that there are."""
    files = [directory / source for directory in directories for source in SOURCES.values()]
    files += [results / paths.CELL_LOG.format(**cell.names()) for cell in cells]
    return [file for file in files if file.is_file()]


def _rows(files: Iterable[Path]) -> list[dict[str, Any]]:
    present = [file for file in files if file.is_file()]
    for file in present:
        check_as_written(file)
    return [row for file in present for row in read_rows(file)]


def _log_rows(results: Path, cell: Cell) -> list[dict[str, Any]]:
    file, manifest = results / paths.CELL_LOG.format(**cell.names()), _manifest(results, cell)
    if file.is_file() and manifest.is_file():
        check_written_by(file, manifest)
    return [{**row, "seed": cell.seed} for row in _rows([file])]


def _manifest(results: Path, cell: Cell) -> Path:
    return results / paths.CELL_DIR.format(**cell.names()) / paths.MANIFEST_FILE


def _trained(results: Path, step: Gather) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The manifest and the names of every training that there is: those of the families, then the cells."""
    for architecture, seed, training in step.trainings:
        template = paths.FINETUNED_MANIFEST if training == FINETUNED else paths.MEMBER_MANIFEST
        manifest = results / template.format(architecture=architecture, seed=seed, member=training)
        if manifest.is_file():
            family = {"architecture": architecture, "fusion": BASELINE, "lambda": "", "seed": seed}
            yield manifest, {**family, "training": training}
    for cell in step.cells:
        if _manifest(results, cell).is_file():
            yield _manifest(results, cell), {**cell.names(), "training": JOINT}


def _cost(path: Path) -> dict[str, Any]:
    """The cost of a training, and how it ran."""
    manifest = read_manifest(path)
    ran = {key: manifest["runtime"][key] for key in ("device", "precision", "channels_last", "compile", "threads")}
    kept = {key: manifest[key] for key in ("parameters", "epochs_run", "training_wall_s", "peak_memory_bytes")}
    best = {"best_epoch": manifest["epoch"], "images_per_second": manifest["best_row"]["images_per_second"]}
    return {**kept, **best, **ran}


def _missing(results: Path, cell: Cell) -> dict[str, Any]:
    trained = _manifest(results, cell).is_file()
    reason = "trained, not evaluated" if trained else "not trained, or its training failed: see its log"
    return {**cell.names(), "reason": reason}
