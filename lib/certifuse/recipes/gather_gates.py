"""Gather the splits that mode `learned` found, from the manifests of its trainings: no certificate is needed."""

from pathlib import Path

from certifuse import layout
from certifuse.manifests import SHARED_NAME, StepRecord, read_manifest
from certifuse.recipes.gather_sublora import CELL, IDENTITY
from certifuse.rows import write_rows
from certifuse.settings.base import Settings

GATES = (*CELL, "group", "depth", "budget", "split", "gamma")
MISSING = (*IDENTITY, "reason")


class GatherGatesStep(Settings):
    """Which trainings are expected: cells (d, mode, seed)."""

    cells: tuple[tuple[int, str, int], ...]


def gather_gates(settings: GatherGatesStep, results: Path) -> None:
    """Write a row for each group of each model, and one for each training that is missing, below `results`."""
    cells = {cell: dict(zip(CELL, cell, strict=True)) for cell in settings.cells}
    manifests = {cell: results / layout.SUBLORA_DIR.format(**cells[cell]) / layout.MANIFEST_FILE for cell in cells}
    finished = [cell for cell in cells if manifests[cell].is_file()]
    record = StepRecord("gather_gates", settings, [manifests[cell] for cell in finished])
    gates = [
        {**cells[cell], **gate, "gamma": gate["split"] / gate["budget"]}
        for cell in finished
        for gate in read_manifest(manifests[cell])["gates"]
    ]
    missing = [
        {"model": "sublora", **cells[cell], "reason": "it was not trained"} for cell in cells if cell not in finished
    ]
    write_rows(results / layout.SUBLORA_GATES, gates, GATES)
    write_rows(results / layout.MISSING_GATES, missing, MISSING)
    manifest = (results / layout.SUBLORA_GATES).with_name(SHARED_NAME.format(job="gather_gates"))
    record.write(manifest, [results / layout.SUBLORA_GATES, results / layout.MISSING_GATES])
