"""The `certifuse` program: a subcommand of each of `COMMANDS`, which says by `execute` what it does."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from certifuse import __version__
from certifuse.base.errors import USER_ERROR_STATUS, UserError, printable
from certifuse.cli import bound, export, verify
from certifuse.cli.compare import command as compare
from certifuse.cli.components import command as components
from certifuse.cli.crate import command as crate
from certifuse.cli.provenance import command as provenance
from certifuse.cli.render import Screen
from certifuse.cli.status import command as status

INTERRUPTED_STATUS = 130
COMMANDS = (status, components, bound, verify, provenance, crate, compare, export)

EXAMPLES = """examples:
  certifuse status --configfile config/cifar100_small.yaml
  certifuse components list results/fusion_checkpoints
  certifuse bound --loss zero-one --risk 0.1362 --bits 8490 --examples 50000
  certifuse verify results/certificates

The workflow itself is run by snakemake; see README.md.
"""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaints are one line, as all errors of this program are; its texts keep their lines."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter} | options)

    def error(self, message: str) -> NoReturn:
        """Turn a wrong command line into a UserError."""
        raise UserError(f"{self.prog}: {message}: see {self.prog} --help")


def program_parser() -> argparse.ArgumentParser:
    """The parser of the whole program."""
    parser = OneLineParser(
        prog="certifuse",
        description="Look after a study: its progress, its components, its bounds.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"certifuse {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status: 2, after one line on standard error, for a user's mistake."""
    try:
        arguments = program_parser().parse_args(argv)
        execute: Callable[[argparse.Namespace], int] = arguments.execute
        with contextlib.redirect_stdout(Screen(sys.stdout)):
            code = execute(arguments)
        sys.stdout.flush()
        return code
    except UserError as error:
        for line in str(error).split("\n"):
            print(f"error: {line}", file=sys.stderr)
        return USER_ERROR_STATUS
    except BrokenPipeError:
        # The reader (head, less) has gone: nothing may be written any more, not even at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where, reason = printable(str(error.filename or "certifuse")), printable(str(error.strerror or error))
        print(f"error: {where}: {reason}", file=sys.stderr)
        return USER_ERROR_STATUS
    except KeyboardInterrupt:
        return INTERRUPTED_STATUS
