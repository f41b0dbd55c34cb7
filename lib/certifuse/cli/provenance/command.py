"""`certifuse provenance`: from any file of a study's results back to the runs, commits, data and settings behind it."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError
from certifuse.cli.provenance.gaps import gaps
from certifuse.cli.provenance.lineage import Lineage, lineage_of
from certifuse.cli.provenance.records import Records, results_directory
from certifuse.cli.provenance.runs import Run
from certifuse.cli.provenance.text import report

EXAMPLES = """examples:
  certifuse provenance results/figures/lambda_ablation.png
  certifuse provenance --json results/metrics/certificates.csv
  certifuse provenance --full results/metrics/certificates.csv   (every input and setting; by default a summary)
  certifuse provenance --no-check results/tables/results.tex     (does not read the inputs again)

What is told comes from the manifests below the results directory, and from Snakemake's records (.snakemake) where they
are at hand; what neither holds is listed as not recorded. docs/provenance.md has the details.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `provenance`."""
    summary = "tell which runs, commits, data and settings a file of the results came from"
    parser = subparsers.add_parser("provenance", help=summary, description=__doc__, epilog=EXAMPLES)
    parser.add_argument("file", type=Path, help="a figure, table, component, certificate, log, ... of a study")
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="the study's results directory (default: the one around the file)"
    )
    parser.add_argument("--no-check", action="store_true", help="do not digest the inputs to see whether they changed")
    parser.add_argument(
        "--full", action="store_true", help="list every input, gap and setting, not only the first ones"
    )
    parser.add_argument("--json", action="store_true", help="print JSON with everything")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Print the lineage of the file."""
    file: Path = arguments.file
    if not file.is_file():
        found = "a directory" if file.is_dir() else "nothing"
        raise UserError(f"{file}: expected a file below a study's results, found {found}: check the path")
    root = arguments.results or results_directory(file)
    try:
        path = file.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        raise UserError(f"{file}: expected a file below {root}, found one outside: check --results") from None
    lineage = lineage_of(Records(root.resolve()), path, check=not arguments.no_check)
    print(
        json.dumps(lineage_record(lineage), indent=2)
        if arguments.json
        else report(str(file), lineage, full=arguments.full)
    )
    return 0


def lineage_record(lineage: Lineage) -> dict[str, Any]:
    """A lineage as plain values."""
    return {
        "file": lineage.file,
        "sha256": lineage.found,
        "recorded_sha256": lineage.recorded,
        "state": lineage.state,
        "touched": lineage.touched,
        "made_by": lineage.runs[0].record,
        "according_to": lineage.witness,
        "runs": [run_record(run) for run in lineage.runs],
        "readings": [
            {
                "path": read.file.path,
                "read_by": read.reader.record,
                "made_by": read.maker and read.maker.record,
                "recorded_sha256": read.file.sha256,
                "sha256": read.found,
                "state": read.state,
                "made_again": read.made_again,
            }
            for read in lineage.readings
        ],
        "not_recorded": gaps(lineage),
    }


def run_record(run: Run) -> dict[str, Any]:
    """A run as plain values, under the names that the manifests use."""
    record = asdict(run)
    record |= {"source_fingerprint": record.pop("source"), "settings_digest": run.settings_digest}
    return record
