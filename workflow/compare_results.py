"""Compare two results directories of one study, file by file: what two versions of the code, or two machines, made.

usage: python workflow/compare_results.py results_before results_after

Tables and logs are equal when every value is, but for measured times and memory; components, predictions, images and
splits when every tensor is, bit for bit; certificates when their claims, counts, ledgers and bitstreams are; figures
when every pixel is. Files that say how they were made (manifests, summaries of digests) are not compared. Exit status 1
where something differs.
"""

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
from safetensors import deserialize

MEASURED = {
    "images_per_second",
    "peak_memory_bytes",
    "scoring_wall_s",
    "seconds",
    "tokens_per_s",
    "training_wall_s",
}
"""Columns of tables that hold times or memory."""
MEASURED_TABLES = ("training_costs",)
"""Tables of times, in every form."""
CLAIMED = (
    *("kind", "identity", "statement", "sample", "delta", "code_bits", "ledger", "counts", "claim", "prior_claim"),
    *("held_out", "held_out_claim", "held_out_prior", "held_out_prior_claim", "test", "test_prior", "terms", "sizes"),
    *("bounds", "top_k", "token_claim", "token_bounds", "description", "drawn_sha256", "bitstream_sha256"),
    "sets_sha256",
)
"""What a certificate says of its model; the rest says where its files are and how it was made."""
NOT_COMPARED = ("manifest.json", "splits.json", "bounds_metrics.json", "report.html")
KINDS = ("*.csv", "*.tex", "*.md", "*.safetensors", "*.cfqv", "*.bin", "*.png", "certificate.json")


def tables(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file without measured columns."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [{key: value for key, value in row.items() if key not in MEASURED} for row in rows]


def tensors(path: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Type, shape and bytes of every tensor."""
    found = dict(deserialize(path.read_bytes()))  # NumPy has no bfloat16
    return {name: (entry["dtype"], tuple(entry["shape"]), bytes(entry["data"])) for name, entry in found.items()}


def claims(path: Path) -> dict[str, Any]:
    """What a certificate claims."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {key: content[key] for key in CLAIMED if key in content}


def pixels(path: Path) -> tuple[tuple[int, ...], bytes]:
    """Shape and bytes of an image."""
    image = np.asarray(matplotlib.image.imread(path))
    return image.shape, image.tobytes()


READERS: dict[str, Callable[[Path], Any]] = {
    ".csv": tables,
    ".safetensors": tensors,
    ".json": claims,
    ".png": pixels,
}
"""How a kind of file is read for the comparison; others byte by byte."""


def compared_files(root: Path) -> set[str]:
    """What is compared below a results directory; states, logs of commands and telemetry are not."""
    found = {path.relative_to(root).as_posix() for kind in KINDS for path in root.rglob(kind) if path.is_file()}
    hidden = {path for path in found if path.startswith((".", "telemetry/", "logs/", "benchmarks/"))}
    return {
        path
        for path in found - hidden
        if not path.endswith(NOT_COMPARED) and not Path(path).stem.startswith(MEASURED_TABLES)
    }


def differences(before: Path, after: Path) -> Iterator[str]:
    """One line for each file that differs or is on one side alone."""
    old, new = compared_files(before), compared_files(after)
    yield from (f"only before: {path}" for path in sorted(old - new))
    yield from (f"only after: {path}" for path in sorted(new - old))
    for path in sorted(old & new):
        read = READERS.get(Path(path).suffix, Path.read_bytes)
        if read(before / path) != read(after / path):
            yield f"differs: {path}"


def main(arguments: list[str]) -> int:
    """Compare what the command line names."""
    if len(arguments) != 2 or not all(Path(path).is_dir() for path in arguments):
        raise SystemExit(__doc__)
    before, after = map(Path, arguments)
    found = list(differences(before, after))
    for line in found:
        print(line)
    both = Counter(Path(path).suffix for path in compared_files(before) & compared_files(after))
    counted = ", ".join(f"{count} {suffix}" for suffix, count in sorted(both.items()))
    print(f"{sum(both.values())} files compared ({counted}); {len(found)} differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
