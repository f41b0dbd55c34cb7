"""`certifuse compare`: the same cells of two studies side by side, and what differs in their settings.

Top-1 accuracy is compared per cell over the seeds that both studies have, B minus A. Where both tested on the same
images the difference is paired: it has a bootstrap interval over the test images (trained networks fixed), a t interval
over the seeds, and p-values by Holm's method over all paired rows. Certificates stand side by side, rounded up.
"""

import argparse
import json
from pathlib import Path

from certifuse.base.errors import UserError

EXAMPLE = """example:
  certifuse compare results other_results

Both are results directories. A difference decides where its adjusted p-value is below 1 - confidence and its t interval
over the seeds, where it has one, leaves out zero; otherwise the data cannot tell, which does not mean that there is no
difference.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `compare`."""
    summary = "show the same cells of two studies side by side, and what differs in their settings"
    parser = subparsers.add_parser("compare", help=summary, description=__doc__, epilog=EXAMPLE)
    for name in ("A", "B"):
        parser.add_argument(f"study_{name.lower()}", type=Path, metavar=f"STUDY_{name}", help="a results directory")
    parser.add_argument("--confidence", type=float, default=0.95, help="of every interval (default: 0.95)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Print the comparison."""
    if not 0 < arguments.confidence < 1:
        raise UserError(f"--confidence: expected a number between 0 and 1, found {arguments.confidence:g}")
    from certifuse.cli.compare.comparison import comparison, report

    found = comparison(arguments.study_a, arguments.study_b, arguments.confidence)
    if arguments.json:
        print(json.dumps({"A": str(arguments.study_a), "B": str(arguments.study_b), **found}, indent=2))
    else:
        print("\n\n".join(report(found, arguments.confidence)))
    return 0
