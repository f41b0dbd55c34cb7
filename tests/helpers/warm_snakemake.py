"""Dry-runs of Snakemake in one directory, each in a fork of a process that has imported everything already.

    python warm_snakemake.py REQUESTS ANSWERS

REQUESTS is a JSON file with a list of argument lists; ANSWERS becomes one with [exit status, output] of each. Each fork
calls the command line's own entry point, so that only the second of imports before each dry-run is saved. The library
of the directory must be on PYTHONPATH: the fingerprints of its scripts are computed once, here.
"""

import gc
import json
import os
import sys
from pathlib import Path

import snakemake.executors.dryrun  # noqa: F401
from snakemake import cli

from certifuse.base.fingerprint import source_fingerprint

AT_ONCE = 2


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


def main() -> None:
    """Answer all requests, two at a time."""
    requests, answers = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    for script in Path("workflow/scripts").glob("*.py"):
        source_fingerprint(script)
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
