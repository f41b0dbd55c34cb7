"""Cost and memory of the projectors against D and d, as JSON on the standard output.

Two cores, no GPU: under a minute, and 2 GB of memory for the largest (D = 40 M).

    python benchmarks/projectors.py --threads 2 > projectors.json
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable

import torch

from certifuse.base.environment import environment_record
from certifuse.models.subspace.projectors import PROJECTORS, Projector

SIZES = {
    "dense": [(20_000, 100), (20_000, 400)],
    "kronecker": [(1_000_000, 1_000), (11_000_000, 1_000), (11_000_000, 50_000), (40_000_000, 50_000)],
    "sparse": [(1_000_000, 1_000), (11_000_000, 1_000), (11_000_000, 50_000), (40_000_000, 50_000)],
}


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def held_bytes(projector: Projector) -> int:
    """Bytes of the tensors that a projector keeps."""
    return sum(value.nbytes for value in vars(projector).values() if isinstance(value, torch.Tensor))


def measure(kind: str, ambient_dim: int, subspace_dim: int) -> dict[str, float | int | str]:
    """One row: build once, then the second of two products in each direction (the first one warms up)."""
    start = time.perf_counter()
    projector = PROJECTORS[kind](subspace_dim, ambient_dim, seed=0)
    build_s = time.perf_counter() - start
    w_d = torch.ones(subspace_dim)
    theta_D = projector.apply(w_d)
    apply_s = seconds(lambda: projector.apply(w_d))
    projector.adjoint(theta_D)
    return {
        "kind": kind,
        "ambient_dim": ambient_dim,
        "subspace_dim": subspace_dim,
        "build_s": round(build_s, 4),
        "apply_s": round(apply_s, 4),
        "adjoint_s": round(seconds(lambda: projector.adjoint(theta_D)), 4),
        "held_mb": round(held_bytes(projector) / 1e6, 2),
        "norm_error": abs(float(theta_D.double().norm() / w_d.double().norm()) - 1.0),
    }


def main() -> None:
    """Measure every size and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default: 2)")
    parser.add_argument("--largest", type=int, default=40_000_000, help="skip sizes above this D (default: all)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [measure(kind, *size) for kind, sizes in SIZES.items() for size in sizes if size[0] <= arguments.largest]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    record = {
        "environment": environment_record(),
        "threads": arguments.threads,
        "peak_mb": round(peak_mb),
        "rows": rows,
    }
    json.dump(record, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
