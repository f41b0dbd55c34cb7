"""`certifuse crate`: a finished study as an RO-Crate: sources, configuration, results, and what came from what."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from certifuse.base.errors import UserError
from certifuse.cli.status.command import add_configfile, study_in

EXAMPLES = """examples:
  certifuse crate results --output crate.zip
  certifuse crate results/cifar100_small --configfile config/cifar100_small.yaml --output crate --without-weights

The crate follows RO-Crate 1.1 and Provenance Run Crate 0.5; docs/provenance.md says what it holds and how to check it.
It is refused where the configuration is not that of the results, or a file has changed since it was made.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `crate`."""
    summary = "pack a finished study as an RO-Crate"
    parser = subparsers.add_parser("crate", help=summary, description=__doc__, epilog=EXAMPLES)
    parser.add_argument("results", type=Path, help="the study's results directory")
    add_configfile(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="PATH", help="a new directory, or a .zip file")
    parser.add_argument("--without-weights", action="store_true", help="leave the trained networks out")
    parser.add_argument(
        "--with-data", action="store_true", help="put images and documents in, where they may be passed on"
    )
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Write the crate and say what it holds."""
    from certifuse.cli.crate.contents import contents_of

    try:
        from certifuse.cli.crate.metadata import crate_of
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "rocrate":
            raise
        raise UserError("the crate needs rocrate; in the checkout: pip install --editable '.[crate]'") from error
    study, config, root = study_in(arguments.configfile), arguments.configfile, arguments.results
    if not root.is_dir():
        raise UserError(f"{root}: expected a study's results directory, found none: check the path")
    weights, data = not arguments.without_weights, arguments.with_data
    contents = contents_of(study, config, root.resolve(), weights=weights, data=data)
    crate_of(contents, datetime.now(UTC).date()).pack(arguments.output)
    print(f"{arguments.output}: {len(contents.files)} files, {len(contents.runs)} runs")
    return 0
