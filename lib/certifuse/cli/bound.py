"""`certifuse bound`: every applicable generalisation bound for numbers that are given on the command line."""

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certifuse.base.errors import UserError
from certifuse.base.files import open_file
from certifuse.base.rows import LARGEST_TABLE_BYTES
from certifuse.evaluation.bounds.evidence import DocumentEvidence
from certifuse.evaluation.bounds.excess import PriorComparison
from certifuse.evaluation.bounds.inequalities import NamedBound, bpd_bounds, count_errors, zero_one_bounds
from certifuse.evaluation.bounds.rounding import upper

EXAMPLES = """examples:
  certifuse bound --loss zero-one --risk 0.1362 --bits 8490 --examples 50000 --delta 0.05
  certifuse bound --loss zero-one --risk 0.646 --bits 58 --examples 10000 --prior-risk 0.65 --worse 100 --better 140
  certifuse bound --loss bpd --risk 9.0 --bits 3125.2 --documents 8009762 --subsample 10000 --alpha 0.1 \\
      --vocabulary 50257

Each bound holds at confidence 1 - delta by itself and is rounded up. To quote the smallest of M after seeing them, pass
delta / M. With --subsample this is so for an alpha that was fixed before the documents were drawn; chosen among A
afterwards it needs delta / A, by the published formula (hoeffding) too, which pays for the choice in its bits alone.
--bits is the ledger's total: nothing is added to it.
"""
ANY_TIME = "each bound holds at confidence 1 - delta by itself"
BEFORE_THE_DRAW = (
    f"{ANY_TIME}, that published (hoeffding) too, if alpha was fixed before the documents were drawn; chosen among A "
    "afterwards, at delta / A only"
)
ZERO_ONE_ONLY = ("examples", "prior_risk", "worse", "better")
BPD_ONLY = ("documents", "subsample", "alpha", "vocabulary", "deviation", "losses")
REQUIRED = {"zero-one": ("examples",), "bpd": ("documents", "alpha", "vocabulary")}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `bound`."""
    summary = "print every applicable generalisation bound for given numbers"
    parser = subparsers.add_parser("bound", help=summary, description=__doc__, epilog=EXAMPLES)
    parser.add_argument("--loss", choices=("zero-one", "bpd"), required=True, help="error rate, or bits per dimension")
    parser.add_argument("--risk", type=float, required=True, help="empirical risk: a fraction, or BPD")
    parser.add_argument("--bits", type=float, required=True, help="total K of the bit ledger")
    parser.add_argument("--delta", type=float, default=0.05, help="failure probability (default: 0.05)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    classifier = parser.add_argument_group("zero-one loss")
    classifier.add_argument("--examples", type=int, help="independent examples behind the risk")
    classifier.add_argument("--prior-risk", type=float, help="error rate of the 0-bit prior on the same examples")
    classifier.add_argument("--worse", type=int, help="examples that only the trained model gets wrong")
    classifier.add_argument("--better", type=int, help="examples that only the prior gets wrong")
    model = parser.add_argument_group("bits per dimension")
    model.add_argument("--documents", type=int, help="independent documents")
    model.add_argument("--subsample", type=int, help="documents drawn with replacement behind the risk (default: all)")
    model.add_argument("--alpha", type=float, help="prediction smoothing, between 0 and 1")
    model.add_argument("--vocabulary", type=int, help="size of the vocabulary")
    model.add_argument("--deviation", type=float, help="sample deviation of the document losses, in BPD")
    model.add_argument("--losses", type=Path, help="document losses in BPD: .npy, or text with one number a line")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print the bounds and return 0; UserError for any value that does not fit."""
    _check_options(args)
    try:
        bounds, evidence = _zero_one(args) if args.loss == "zero-one" else _bpd(args)
    except ValueError as error:
        raise UserError(f"certifuse bound: {error}") from None
    holds = ANY_TIME if args.subsample is None else BEFORE_THE_DRAW
    given = {"loss": args.loss, "risk": args.risk, "code_bits": args.bits, "delta": args.delta}
    evidence = given | evidence | {"holds": holds}
    if args.json:
        print(json.dumps({"evidence": evidence, "bounds": [asdict(bound) for bound in bounds]}, indent=2))
    else:
        print(_table(bounds, evidence))
    return 0


def _check_options(args: argparse.Namespace) -> None:
    foreign = BPD_ONLY if args.loss == "zero-one" else ZERO_ONE_ONLY
    for name in REQUIRED[args.loss]:
        if getattr(args, name) is None:
            raise UserError(f"certifuse bound: --loss {args.loss} needs --{name.replace('_', '-')}")
    for name in foreign:
        if getattr(args, name) is not None:
            raise UserError(f"certifuse bound: --{name.replace('_', '-')} does not apply to --loss {args.loss}")


def _zero_one(args: argparse.Namespace) -> tuple[list[NamedBound], dict[str, Any]]:
    errors = count_errors(args.risk, args.examples)
    comparison = (args.prior_risk, args.worse, args.better)
    prior = None
    if None not in comparison:
        prior_errors = count_errors(args.prior_risk, args.examples)
        prior = PriorComparison(prior_errors=prior_errors, worse=args.worse, better=args.better, examples=args.examples)
    elif comparison != (None, None, None):
        raise ValueError("--prior-risk, --worse and --better go together: expected all three or none")
    evidence = {"unit": "error probability", "vacuous": 1.0, "examples": args.examples, "errors": errors}
    return zero_one_bounds(errors, args.bits, args.examples, args.delta, prior), evidence


def _bpd(args: argparse.Namespace) -> tuple[list[NamedBound], dict[str, Any]]:
    seen = DocumentEvidence(
        risk_bpd=args.risk,
        documents=args.documents,
        subsample=args.subsample,
        alpha=args.alpha,
        vocabulary=args.vocabulary,
        deviation_bpd=args.deviation,
        losses_bpd=None if args.losses is None else _read_losses(args.losses),
    )
    evidence = {"unit": "bits per dimension", "vacuous": math.log2(args.vocabulary)}
    evidence |= {name: getattr(args, name) for name in ("documents", "subsample", "alpha", "vocabulary")}
    return bpd_bounds(seen, args.bits, args.delta), evidence | {"loss_width": seen.range.width}


def _read_losses(path: Path) -> NDArray[np.float64]:
    try:
        with open_file(path, LARGEST_TABLE_BYTES) as stream:
            raw = np.load(stream, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(stream, ndmin=1)
        return np.asarray(raw, dtype=np.float64)
    except (OSError, ValueError, TypeError, OverflowError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--losses {path}: expected a .npy file or one number a line; {reason}") from None


def _table(bounds: list[NamedBound], evidence: dict[str, Any]) -> str:
    digits, scale, unit = (2, 100, " %") if evidence["loss"] == "zero-one" else (4, 1, "")
    risk, vacuous = (f"{scale * evidence[name]:.{digits}f}{unit}" for name in ("risk", "vacuous"))
    order = sorted(bounds, key=lambda bound: bound.value)
    head = (
        f"{evidence['unit']}; 1 - delta = {1.0 - evidence['delta']:g}; risk {risk}, {evidence['code_bits']:g} bits; "
        f"{evidence['holds']}"
    )
    lines = [f"{bound.name:<17}{upper(bound.value, digits, scale):>8}{unit}  {bound.source}" for bound in order]
    return "\n".join([head, *lines, f"{'(vacuous)':<17}{vacuous.rjust(8 + len(unit))}"])
