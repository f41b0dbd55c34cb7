"""Dry-runs of Snakemake in one directory, each in a fork of a process that has imported everything already.

    python warm_snakemake.py REQUESTS ANSWERS

REQUESTS is a JSON file with a list of argument lists; ANSWERS becomes one with [exit status, output] of each. Each fork
calls the command line's own entry point, so that only the imports before each dry-run are saved, and the fingerprints:
those of most jobs are computed once, here. The library of the directory must be on PYTHONPATH.
"""

import gc
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import snakemake.executors.dryrun  # noqa: F401
from snakemake import cli

from certifuse.base.fingerprint import source_fingerprint
from certifuse.study.reading.configuration_file import read_configuration
from certifuse.study.steps.registry import STEPS
from certifuse.study.study import read_study

AT_ONCE = 2
ANY_NAMES = {
    "lambda": "1.0",
    "seed": 0,
    "member": "expert_0",
    "d": 8,
    "mode": "uniform",
    "levels": 3,
    "ngram": "unigram",
}
"""Names that no module is found by."""


def start(arguments: list[str], output: Path) -> int:
    """Fork a dry-run that writes into `output`; the id of its process."""
    if child := os.fork():
        return child
    status = 1
    gc.disable()
    try:
        stream = os.open(output, os.O_WRONLY | os.O_CREAT)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        cli.main(arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def remember_fingerprints(config: Mapping[str, Any]) -> None:
    """Compute the fingerprint of every kind of job of a study: of one job for each architecture, rule and figure."""
    study = read_study(config)
    pairs = {(cell.architecture, cell.fusion) for cell in (*study.cells, *study.subspace_cells)}
    names = [{**ANY_NAMES, "architecture": architecture, "fusion": fusion} for architecture, fusion in sorted(pairs)]
    for step in STEPS.values():
        for own in [{"figure": place} for place in study.drawings] if step.rule == "draw_figure" else names:
            source_fingerprint(Path("workflow/scripts", f"{step.rule}.py"), step.of(study, own).modules())


def main() -> None:
    """Answer all requests, two at a time."""
    requests, answers = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    for arguments in requests:
        remember_fingerprints(read_configuration(Path(arguments[-1])))
    cli.get_argument_parser()
    gc.freeze()
    outputs = [answers.with_suffix(f".{number}") for number in range(len(requests))]
    running: dict[int, int] = {}
    statuses: dict[int, int] = {}
    for number, arguments in enumerate(requests):
        if len(running) == AT_ONCE:
            _reap(running, statuses)
        running[start(["-n", *arguments], outputs[number])] = number
    while running:
        _reap(running, statuses)
    texts = [output.read_text(encoding="utf-8") for output in outputs]
    answers.write_text(json.dumps([[statuses[number], text] for number, text in enumerate(texts)]), encoding="utf-8")


def _reap(running: dict[int, int], statuses: dict[int, int]) -> None:
    child, status = os.wait()
    statuses[running.pop(child)] = os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    main()
