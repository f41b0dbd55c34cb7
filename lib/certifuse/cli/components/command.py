"""`certifuse components`: list component files, put networks together from them, and score those."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from certifuse.base.errors import UserError, printable
from certifuse.cli.render import count, positive, table
from certifuse.study import paths

if TYPE_CHECKING:
    from certifuse.cli.components.assembly import Assembly

SPLITS = ("test", "validation")

WHAT = ("kind", "architecture", "fusion", "feature_dim", "classes", "parameters")
WHENCE = ("epoch", "lambda", "seed", "origin", "path")
PART_COLUMNS = ("part", "name", "epoch", "run", "path")
SCORE_COLUMNS = ("predictor", "top-1 / %", "NLL / nats")

LIST_EXAMPLE = """
  certifuse components list results/fusion_checkpoints"""
RECONSTRUCT_EXAMPLE = """
  certifuse components reconstruct results/fusion_checkpoints --fusion-type multiplicative --seed 0
  certifuse components reconstruct RUN --num-experts 1
  certifuse components reconstruct RUN --fusion OTHER/fusion/*.safetensors --global-head OTHER/global/*.safetensors \\
      --output mixed.safetensors

Named files replace those of the directory. With fewer experts than its fusion module expects, module and head are
left out and the network averages the experts; a fusion module that is named with --fusion is never left out."""
LOAD_EXAMPLE = """
  certifuse components load-complete results/fusion_checkpoints --fusion-type TransformerBase --seed 0"""
EVALUATE_EXAMPLE = """
  certifuse components evaluate RUN --images results/data/images.safetensors \\
      --split test --splits results/splits/splits.safetensors
  certifuse components evaluate mixed.safetensors --images results/data/images.safetensors \\
      --split validation --splits results/splits/splits.safetensors"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `components` and its actions."""
    summary = "list components, put networks together, score them"
    parser = subparsers.add_parser("components", help=summary, description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    listing = _action(actions, "list", "every component below a directory", LIST_EXAMPLE)
    listing.add_argument("directory", type=Path, metavar="DIR", help="directory to look through")
    listing.add_argument("--epochs", action="store_true", help="show the components of stored epochs, too")
    listing.set_defaults(execute=execute_list)

    reconstruct = _action(actions, "reconstruct", "build a network from separate components", RECONSTRUCT_EXAMPLE)
    _add_selectors(reconstruct, "a run, one of its epochs, or a directory above runs", required=False)
    _add_parts(reconstruct)
    reconstruct.add_argument("--output", type=Path, metavar="FILE", help="write the network as one complete file")
    reconstruct.set_defaults(execute=execute_reconstruct)

    load = _action(actions, "load-complete", "load a complete network and run it on an image of zeros", LOAD_EXAMPLE)
    _add_selectors(load, "a complete file, the run that holds it, or a directory above runs", required=True)
    load.set_defaults(execute=execute_load_complete)

    evaluate = _action(actions, "evaluate", "accuracy and loss of a network and its experts", EVALUATE_EXAMPLE)
    _add_selectors(evaluate, "a complete file, a run, one of its epochs, or a directory above runs", required=False)
    _add_parts(evaluate)
    evaluate.add_argument("--images", type=Path, required=True, metavar="FILE", help="images of the workflow")
    evaluate.add_argument(
        "--split", choices=SPLITS, required=True, help="which images; the test images are for finished models, once"
    )
    evaluate.add_argument(
        "--splits", type=Path, required=True, metavar="FILE", help="splits of the workflow; they normalise the images"
    )
    evaluate.add_argument("--threads", type=positive, default=1, metavar="N", help="CPU threads (default: 1)")
    evaluate.set_defaults(execute=execute_evaluate)


def _action(actions: Any, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:{example}",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser


def _add_selectors(parser: argparse.ArgumentParser, source: str, required: bool) -> None:
    parser.add_argument("source", type=Path, nargs=None if required else "?", metavar="DIR", help=source)
    group = parser.add_argument_group("which of the runs below DIR")
    group.add_argument("--architecture", metavar="NAME", help="architecture of the experts")
    group.add_argument("--fusion-type", metavar="NAME", help="fusion rule")
    group.add_argument("--lambda", metavar="VALUE", help="weight of the individual losses")
    group.add_argument("--seed", type=int, metavar="N", help="seed")
    group.add_argument("--epoch", type=int, metavar="N", help="a stored epoch of the run (default: its best)")


def _add_parts(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which components, of any runs and epochs")
    group.add_argument("--experts", type=Path, nargs="+", metavar="FILE", help="the experts, in order")
    group.add_argument("--fusion", type=Path, metavar="FILE", help="the fusion module")
    group.add_argument("--global-head", type=Path, metavar="FILE", help="the global head")
    group.add_argument("--num-experts", type=positive, metavar="N", help="only the first N experts")


# ---- actions -------------------------------------------------------------------------------------


def execute_list(arguments: argparse.Namespace) -> int:
    """Print every component below a directory, of stored epochs if asked; status 1 when some are damaged."""
    from certifuse.cli.components.listing import list_components, of_stored_epoch

    found = list_components(arguments.directory)
    if arguments.json:
        listed = {"components": found.components, "damaged": found.damaged, "other_files": found.others}
        print(json.dumps(listed, indent=2))
        return int(bool(found.damaged))
    rows = [row for row in found.components if arguments.epochs or not of_stored_epoch(row)]
    if rows:
        print(table([row | {"parameters": count(row["parameters"])} for row in rows], (*WHAT, *WHENCE)))
    left_out = len(found.components) - len(rows)
    hidden = f" and {left_out} of stored epochs (--epochs shows them)" if left_out else ""
    print(f"{len(rows)} components{hidden} below {arguments.directory}; {found.others} other .safetensors files")
    for row in found.damaged:
        print(printable(f"damaged: {row['reason']}"))
    return int(bool(found.damaged))


def execute_reconstruct(arguments: argparse.Namespace) -> int:
    """Build a network from components, say what was built, and write it where that is asked for."""
    assembly, notes = _assembled(arguments)
    if arguments.output is not None:
        assembly.save(arguments.output)
        notes = [*notes, f"written to {arguments.output}"]
    _report(assembly, notes, arguments.json)
    return 0


def execute_load_complete(arguments: argparse.Namespace) -> int:
    """Load a complete network, say what it is, and run it on an image of zeros."""
    from certifuse.cli.components.assembly import forward_on_zeros

    assembly = _complete(arguments)
    shapes = forward_on_zeros(assembly)
    passed = ", ".join(f"{name.replace('_', ' ')} {tuple(shape)}" for name, shape in shapes.items())
    _report(assembly, [f"forward pass on zeros: {passed}, all finite"], arguments.json, forward=shapes)
    return 0


def execute_evaluate(arguments: argparse.Namespace) -> int:
    """Print accuracy and loss of a network, of its experts and of their average."""
    from certifuse.cli.components.scores import scores

    is_file = arguments.source is not None and arguments.source.is_file()
    assembly, notes = (_complete(arguments), []) if is_file else _assembled(arguments)
    rows = scores(assembly, arguments.images, arguments.splits, arguments.split, arguments.threads)
    if arguments.json:
        _report(assembly, notes, as_json=True, split=arguments.split, scores=rows)
        return 0
    _report(assembly, notes, as_json=False)
    shown = [row | {"top-1 / %": f"{row['top1_percent']:.2f}", "NLL / nats": f"{row['nll_nats']:.4f}"} for row in rows]
    print(f"\n{rows[0]['images']} {arguments.split} images\n{table(shown, SCORE_COLUMNS)}")
    return 0


def _assembled(arguments: argparse.Namespace) -> "tuple[Assembly, list[str]]":
    from certifuse.cli.components.assembly import build
    from certifuse.cli.components.selection import choose_components

    found, notes = choose_components(arguments)
    return build(found), notes


def _complete(arguments: argparse.Namespace) -> "Assembly":
    from certifuse.cli.components.assembly import load_whole
    from certifuse.cli.components.selection import PART_OPTIONS, RUN_OPTIONS, given, run_of

    if not arguments.source.is_file():
        return load_whole(run_of(arguments) / paths.COMPLETE_FILE)
    if options := given(arguments, (*RUN_OPTIONS, *PART_OPTIONS)):
        raise UserError(f"{arguments.source}: a complete file is taken whole: expected no {options}")
    return load_whole(arguments.source)


def _report(assembly: "Assembly", notes: list[str], as_json: bool, **more: Any) -> None:
    record, warnings = assembly.record(), assembly.warnings()
    if as_json:
        print(json.dumps(record | {"notes": notes, "warnings": warnings} | more, indent=2))
        return
    fusion = "no fusion" if record["fusion"] is None else f"fusion {record['fusion']}"
    print(
        f"{record['experts']} expert{'s' if record['experts'] > 1 else ''}, {fusion}: "
        f"{count(record['parameters'])} parameters, features {record['feature_dim']}, classes {record['classes']}"
    )
    print(table(record["parts"], PART_COLUMNS))
    for line in (*notes, *(f"warning: {warning}" for warning in warnings)):
        print(printable(line))
