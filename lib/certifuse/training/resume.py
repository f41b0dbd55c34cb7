"""State of an unfinished run, in one file that is whole or absent.

The file lives in a directory that Snakemake does not know of (it deletes declared outputs before a retry)
and is named after the fingerprint of settings, code and data: a run never takes up another run's state.
"""

import hashlib
import json
import logging
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from certifuse.errors import UserError
from certifuse.provenance import canonical_json, write_atomically, write_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """Everything that a run needs to go on after an epoch: tensors, and plain JSON values."""

    tensors: dict[str, Tensor]
    progress: dict[str, Any]


def _digest(tensors: Mapping[str, Tensor], progress: str) -> str:
    digest = hashlib.sha256(progress.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(memoryview(tensors[name].reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()


class ResumeStore:
    """The newest and the second newest snapshot of one run, and a note on who is running it."""

    def __init__(self, directory: Path, fingerprint: str):
        self.directory = directory
        self.newest = directory / f"{fingerprint}.safetensors"
        self.previous = directory / f"{fingerprint}.previous.safetensors"
        self.runner = directory / "running.json"

    def save(self, snapshot: Snapshot) -> None:
        """Put a snapshot in place of the newest; keep the one before it."""
        progress = canonical_json(snapshot.progress)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in snapshot.tensors.items()}
        metadata = {"progress": progress, "sha256": _digest(tensors, progress)}
        if self.newest.exists():
            self.newest.replace(self.previous)
        write_atomically(self.newest, lambda temporary: save_file(tensors, temporary, metadata=metadata))

    def load(self) -> Snapshot | None:
        """The newest snapshot that is intact; None when there is none."""
        for path in (self.newest, self.previous):
            if path.exists():
                try:
                    return self._read(path)
                except (SafetensorError, OSError, ValueError, KeyError) as error:
                    log.warning("%s: damaged (%s); looking for an older state", path, error)
        return None

    def _read(self, path: Path) -> Snapshot:
        with safe_open(path, "pt") as stream:
            metadata = stream.metadata()
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        if _digest(tensors, metadata["progress"]) != metadata["sha256"]:
            raise ValueError("digest differs")
        return Snapshot(tensors, json.loads(metadata["progress"]))

    def note_running(self, run: str, epochs: int) -> None:
        """Say who works on this run.

        Raises:
            UserError: another live process of this machine does.
        """
        if self.runner.exists():
            note = json.loads(self.runner.read_text())
            if note["host"] == socket.gethostname() and note["pid"] != os.getpid() and _alive(note["pid"]):
                raise UserError(
                    f"{self.directory}: process {note['pid']} on {note['host']} is already training {run}: "
                    "wait for it or stop it"
                )
        write_json(
            self.runner,
            {
                "run": run,
                "epochs": epochs,
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "started_unix_s": time.time(),
            },
        )

    def remove(self) -> None:
        """Forget the run: it is finished."""
        for path in (self.newest, self.previous, self.runner):
            path.unlink(missing_ok=True)
        if self.directory.exists() and not any(self.directory.iterdir()):
            self.directory.rmdir()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
