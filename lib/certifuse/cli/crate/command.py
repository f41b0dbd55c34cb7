"""`certifuse crate`: a finished study as an RO-Crate: sources, configuration, results, and what came from what."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError
from certifuse.cli.status.command import DEFAULT_CONFIG, study_in

EXAMPLES = """examples:
  certifuse crate results --output crate.zip
  certifuse crate results/cifar100_small --configfile config/cifar100_small.yaml --output crate --without-weights

The crate follows RO-Crate 1.1 and Provenance Run Crate 0.5; docs/provenance.md says what it holds and how to check it.
It is refused where the configuration is not that of the results, or a file has changed since it was made.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `crate`."""
    parser = subparsers.add_parser(
        "crate",
        help="pack a finished study as an RO-Crate",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, help="the study's results directory")
    parser.add_argument(
        "--configfile", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help=f"the study (default: {DEFAULT_CONFIG})"
    )
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
        from certifuse.cli.crate.packing import pack
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "rocrate":
            raise
        raise UserError("the crate needs rocrate; in the checkout: pip install --editable '.[crate]'") from error
    if not arguments.results.is_dir():
        raise UserError(f"{arguments.results}: expected a study's results directory, found none: check the path")
    contents = contents_of(
        study_in(arguments.configfile),
        arguments.configfile,
        arguments.results.resolve(),
        weights=not arguments.without_weights,
        data=arguments.with_data,
    )
    citation = _citation(contents.files["CITATION.cff"])
    pack(arguments.output, crate_of(contents, citation, datetime.now(UTC).date()))
    print(f"{arguments.output}: {len(contents.files)} files, {len(contents.runs)} runs")
    return 0


def _citation(path: Path) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    citation: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return citation
