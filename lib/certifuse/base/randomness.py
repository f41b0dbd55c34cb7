"""Named random streams and determinism switches: the only place that seeds anything.

Every stream is a pure function of (seed, purpose...), so two streams never share state, a step can be
repeated on its own, and a run that resumes at an epoch draws what the uninterrupted run drew.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator

import numpy as np
import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for the stream called `purpose`: SHA-256 of the seed and the names."""
    text = "\x1f".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """A counter-based (Philox) generator: the same numbers on every device and machine."""
    return np.random.Generator(np.random.Philox(derive_seed(seed, *purpose)))


def torch_stream(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator on `device`. CPU and CUDA generators draw different numbers for one seed."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *purpose))


def seed_layers(seed: int, *purpose: str | int) -> None:
    """Seed torch's global generators, which layers such as dropout draw from and cannot be told otherwise."""
    torch.manual_seed(derive_seed(seed, *purpose))


@contextlib.contextmanager
def initialising(seed: int, *purpose: str | int) -> Iterator[None]:
    """Inside, modules built on the CPU draw their weights from the named stream; outside is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, *purpose))
        yield


def make_deterministic(threads: int) -> None:
    """Fix the thread count (CPU sums depend on it) and ask torch for deterministic kernels only.

    `CUBLAS_WORKSPACE_CONFIG` must be in the environment before CUDA starts; it is set here when absent,
    which is early enough because nothing in this library touches CUDA at import.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")
    # By default that also fills every new tensor with NaN, to show reads of memory that was never written.
    # Nothing here reads such memory, and the filling takes a tenth of a training step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
