"""Gather the splits that mode `learned` found, from the manifests of its trainings: no certificate is needed."""

from pathlib import Path

from certifuse.base.manifest import SHARED_NAME, StepRecord, read_manifest
from certifuse.base.rows import write_rows
from certifuse.steps.gather_sublora import IDENTITY
from certifuse.study import paths
from certifuse.study.cells import CELL
from certifuse.study.steps import GatherGatesStep

GATES = (*CELL, "group", "depth", "budget", "split", "gamma")
MISSING = (*IDENTITY, "reason")


def gather_gates(settings: GatherGatesStep, results: Path) -> None:
    """Write a row for each group of each model, and one for each training that is missing, below `results`."""
    cells = {cell: dict(zip(CELL, cell, strict=True)) for cell in settings.cells}
    manifests = {cell: results / paths.SUBLORA_DIR.format(**cells[cell]) / paths.MANIFEST_FILE for cell in cells}
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
    write_rows(results / paths.SUBLORA_GATES, gates, GATES)
    write_rows(results / paths.MISSING_GATES, missing, MISSING)
    manifest = (results / paths.SUBLORA_GATES).with_name(SHARED_NAME.format(job="gather_gates"))
    record.write(manifest, [results / paths.SUBLORA_GATES, results / paths.MISSING_GATES])
