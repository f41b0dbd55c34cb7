"""`certifuse export`: a trained network as one file that runs without this software."""

import argparse
from pathlib import Path

from certifuse.base.errors import printable

FORMS = ("torch", "onnx")

EXAMPLES = """examples:
  certifuse export results/fusion_checkpoints/resnet_fusions_lambda_1.0/concatenation/seed_0 --to torch \\
      --output network.pt2
  certifuse export CELL/complete_fusion_best.safetensors --to onnx --output network.onnx

The program in the file takes uint8 images (N, C, H, W) as they are, normalises them, and returns probabilities (N, K).
It is compared with the network before it is written. The file says what it is under certifuse.json: the names of the
classes, how images are normalised, and the digests of the images and splits of its training.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `export`."""
    parser = subparsers.add_parser(
        "export",
        help="write a trained network as a program of PyTorch or ONNX",
        description=__doc__,
        epilog=EXAMPLES,
    )
    parser.add_argument("source", type=Path, metavar="CELL", help="a run's directory, a complete file, or an expert's")
    parser.add_argument("--to", choices=FORMS, required=True, help="torch: for torch.export.load; onnx")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the file to write; it must be new")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Write the file and say where it is."""
    from certifuse.interface.export import export

    export(arguments.source, arguments.output, arguments.to)
    print(printable(f"written to {arguments.output}"))
    return 0
