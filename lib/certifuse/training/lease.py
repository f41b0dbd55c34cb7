"""One process per GPU where nobody assigns GPUs: a lease by file lock, which the kernel frees with the process."""

import fcntl
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

WAIT_S = 2.0
_held: list[IO[str]] = []


def take_gpu(count: int, directory: Path | None = None) -> int:
    """The index of the GPU to use, of `count` visible ones.

    Somebody who sets `CUDA_VISIBLE_DEVICES` (Slurm, a user) has assigned: then it is the first, or that of this
    process's number where torchrun started several. Otherwise the first GPU that no other process of this machine
    holds by this function, once there is one; it is held to the end of the process.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") or count == 0:
        return int(os.environ.get("LOCAL_RANK", 0))
    directory = directory or Path(tempfile.gettempdir()) / f"certifuse-gpus-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    waiting = False
    while True:
        for index in range(count):
            stream = (directory / f"{index}.lock").open("w")
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
