"""Leases of GPUs where nobody assigns them: by file lock, which the kernel frees with the process."""

import fcntl
import itertools
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

WAIT_S = 2.0
PER_GPU = "CERTIFUSE_JOBS_PER_GPU"
"""Environment variable: how many processes may hold one GPU; 1 without it. The workflow sets it from its settings."""

_held: list[IO[str]] = []


def take_gpu(count: int, directory: Path | None = None) -> int:
    """The index of the GPU to use, of `count` visible ones.

    Somebody who sets `CUDA_VISIBLE_DEVICES` (Slurm, a user) has assigned: then it is the first, or that of this
    process's number where torchrun started several. Otherwise the first GPU that the fewest other processes of this
    machine hold by this function, once one has room; it is held to the end of the process.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") or count == 0:
        return int(os.environ.get("LOCAL_RANK", 0))
    directory = directory or Path(tempfile.gettempdir()) / f"certifuse-gpus-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    places = list(itertools.product(range(int(os.environ.get(PER_GPU, "1"))), range(count)))
    waiting = False
    while True:
        for place, index in places:
            stream = (directory / f"{index}.{place}.lock").open("w")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.close()
                continue
            _held.append(stream)
            return index
        if not waiting:
            log.info("all %d GPUs are held by other runs; waiting for one", count)
            waiting = True
        time.sleep(WAIT_S)
