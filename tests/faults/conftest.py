"""Scripts of the workflow as processes."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command as a process with one thread, whose standard error is piped; it is killed after the test."""
    processes: list[subprocess.Popen[str]] = []

    def begin(command: list[str], **options: Any) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "lib"), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, **{"stderr": subprocess.PIPE, "text": True, "env": environment, **options})
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


class SmallDisk(type(Path())):
    """The mount point of a file system of a megabyte."""

    def clear(self) -> None:
        """Remove all that lies on it."""
        for path in self.iterdir():
            shutil.rmtree(path)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[SmallDisk]:
    """A tmpfs of one megabyte, mounted for the test."""
    if os.getuid() != 0:
        pytest.skip("mounting a small file system needs root; CI has it")
    disk = SmallDisk(tmp_path / "disk")
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)  # a lock of this process may be open on it
