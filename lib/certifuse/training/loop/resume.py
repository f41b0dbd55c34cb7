"""State of an unfinished run, in one file that is whole or absent.

The file lives in a directory that Snakemake does not know of (it deletes declared outputs before a retry)
and is named after the fingerprint of settings, code and data: a run never takes up another run's state.
"""

import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from certifuse.base.errors import UserError
from certifuse.base.files import read_json, write_json
from certifuse.base.machine import writing
from certifuse.base.tensors import DamagedFileError, read_sealed, write_sealed
from certifuse.training.loop.finite import NonFiniteLossError

KIND = "the state of a run"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """Everything that a run needs to go on after an epoch: tensors, and plain JSON values."""

    tensors: dict[str, Tensor]
    progress: dict[str, Any]


class ResumeStore:
    """The newest and the second newest snapshot of one run, and a note on who is running it."""

    def __init__(self, directory: Path, fingerprint: str):
        self.directory = directory
        self.newest = directory / f"{fingerprint}.safetensors"
        self.previous = directory / f"{fingerprint}.previous.safetensors"
        self.runner = directory / "running.json"
        self.lock = directory / "running.lock"
        self.non_finite = directory / "non_finite.json"
        self._lock_descriptor: int | None = None
        self._damaged: set[Path] = set()

    def save(self, snapshot: Snapshot) -> None:
        """Put a snapshot in place of the newest; keep the one before it, unless that was found damaged."""
        progress = json.dumps(snapshot.progress, allow_nan=False)  # as text: rows keep the order of their columns
        if self.newest.exists() and self.newest not in self._damaged:
            with writing(self.previous, lambda: sum(tensor.nbytes for tensor in snapshot.tensors.values())):
                self.newest.replace(self.previous)
        write_sealed(self.newest, KIND, snapshot.tensors, {"progress": progress})
        self._damaged.discard(self.newest)

    def load(self) -> Snapshot | None:
        """The newest snapshot that is intact; None when there is none."""
        for path in (self.newest, self.previous):
            if path.exists():
                try:
                    tensors, facts = read_sealed(path, KIND)
                    return Snapshot(tensors, json.loads(facts["progress"]))
                except UserError as error:
                    reason = error.reason if isinstance(error, DamagedFileError) else "it holds something else"
                    log.warning("%s: damaged (%s); looking for an older state", path, reason)
                    self._damaged.add(path)
        return None

    def note_running(self, run: str, epochs: int) -> None:
        """Take this run for this process, until `remove` or the end of the process, and note who runs it.

        Raises:
            UserError: another live process has it.
        """
        with writing(self.lock, lambda: 0):
            self.directory.mkdir(parents=True, exist_ok=True)
            if self._lock_descriptor is None:
                self._lock_descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            # The system frees the lock when the process ends, however it ends: unlike a process number in a file,
            # it is never stale. It belongs to the process, which may take it again.
            fcntl.lockf(self._lock_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise UserError(
                f"{self.directory}: {self._other_runner()} is already training {run}: wait for it or stop it"
            ) from None
        except OSError as error:
            log.warning("%s: cannot be locked (%s), so a second run of %s would go unnoticed", self.lock, error, run)
        for path in self.directory.iterdir():  # of other settings, or half written by a process that was killed
            if path.is_file() and path not in (self.newest, self.previous, self.runner, self.lock):
                path.unlink()
        note = {"run": run, "epochs": epochs, "pid": os.getpid(), "host": socket.gethostname()}
        write_json(self.runner, note | {"started_unix_s": time.time()})

    @contextmanager
    def noting_non_finite(self) -> Iterator[None]:
        """Keep, where a loss is not finite, what replays its step, and name that file; the states stay as they are."""
        try:
            yield
        except NonFiniteLossError as error:
            if error.replay is None:
                raise
            write_json(self.non_finite, dict(error.replay))
            raise NonFiniteLossError(f"{error}; {self.non_finite} names the batch", error.replay) from None

    def _other_runner(self) -> str:
        try:
            note = read_json(self.runner)
            return f"process {note['pid']} on {note['host']}"
        except (OSError, ValueError, KeyError, TypeError, UserError):
            return "another process"

    def remove(self) -> None:
        """Forget the run: it is finished."""
        for path in (self.newest, self.previous, self.non_finite, self.runner, self.lock):
            path.unlink(missing_ok=True)
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None
        if self.directory.exists() and not any(self.directory.iterdir()):
            self.directory.rmdir()
