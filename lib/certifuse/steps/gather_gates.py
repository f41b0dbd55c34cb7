"""Gather the splits that mode `learned` found, from the manifests of its trainings: no certificate is needed.

Reads those manifests; writes `metrics/sublora_gates.csv`, what is missing, and a manifest. A second.
"""

from certifuse.base.manifest import SHARED_NAME, StepRecord, read_manifest
from certifuse.base.rows import write_rows
from certifuse.steps.gather_sublora import CELL, IDENTITY
from certifuse.study import paths
from certifuse.study.steps.gathering import GatherGates, GatheringFiles

GATES = (*CELL, "group", "depth", "budget", "split", "gamma")
MISSING = (*IDENTITY, "reason")


def gather_gates(step: GatherGates, files: GatheringFiles) -> None:
    """Write a row for each group of each model, and one for each training that is missing."""
    results = files.results_dir
    manifests = {cell: results / paths.SUBLORA_DIR.format(**cell.names()) / paths.MANIFEST_FILE for cell in step.cells}
    finished = [cell for cell in step.cells if manifests[cell].is_file()]
    record = StepRecord(step, files.source, [manifests[cell] for cell in finished])
    gates = [
        {**cell.names(), **gate, "gamma": gate["split"] / gate["budget"]}
        for cell in finished
        for gate in read_manifest(manifests[cell])["gates"]
    ]
    missing = [
        {"model": "sublora", **cell.names(), "reason": "it was not trained"}
        for cell in step.cells
        if cell not in finished
    ]
    write_rows(results / paths.SUBLORA_GATES, gates, GATES)
    write_rows(results / paths.MISSING_GATES, missing, MISSING)
    manifest = (results / paths.SUBLORA_GATES).with_name(SHARED_NAME.format(job=step.rule))
    record.write(manifest, [results / paths.SUBLORA_GATES, results / paths.MISSING_GATES])
