"""The files of a training step, the identity of its run, and what its manifest says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from certifuse.base.digests import canonical_json, digest_bytes, digest_file
from certifuse.base.environment import environment_record
from certifuse.base.manifest import path_from, peak_resident_bytes
from certifuse.base.records import Settings
from certifuse.models.compute.runtime import Runtime
from certifuse.training.loop.budget import TimeBudget
from certifuse.training.loop.loop import LoopSettings, Outcome
from certifuse.training.loop.resume import ResumeStore

DATA = ("images", "splits", "corpus")
"""The names of inputs that are the data of the study."""


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """Where every training step writes, and when it began to."""

    log: Path
    manifest: Path
    resume: Path
    telemetry: Path
    source: str
    save_interval_s: float
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    budget: TimeBudget = field(default_factory=TimeBudget)

    def inputs(self) -> dict[str, Path]:
        """The input files by name."""
        return {}

    @cached_property
    def inputs_sha256(self) -> dict[str, str]:
        """SHA-256 of every input file, taken once."""
        return {name: digest_file(path) for name, path in self.inputs().items()}

    def plan(self, name: str, epochs: int, *, patience: int | None = None, **more: Any) -> LoopSettings:
        """How the training `name` runs with these files; `more` are other fields of `LoopSettings`."""
        files: dict[str, Any] = {"save_interval_s": self.save_interval_s, "log_file": self.log, "budget": self.budget}
        return LoopSettings(epochs=epochs, patience=patience, name=name, **files | more)

    def store(self, settings: Settings, *identity: str | int, kind: type[ResumeStore] = ResumeStore) -> ResumeStore:
        """The resume state of exactly this run: its settings, source, inputs, PyTorch and identity."""
        run = {
            "settings": settings.plain(),
            "source": self.source,
            "torch": str(torch.__version__),
            "inputs": self.inputs_sha256,
            "identity": list(identity),
        }
        return kind(self.resume, digest_bytes(canonical_json(run).encode())[:24])


@dataclass(frozen=True, kw_only=True)
class StepFiles(RunFiles):
    """Where a training step on images reads and writes. `experts` are the components that it starts from."""

    images: Path
    splits: Path
    output: Path
    experts: Sequence[Path] = ()

    def inputs(self) -> dict[str, Path]:
        """Images, splits and experts."""
        experts = {f"expert_{index}": path for index, path in enumerate(self.experts)}
        return {"images": self.images, "splits": self.splits, **experts}

    def data_sha256(self) -> dict[str, str]:
        """What a component says of the data that it was trained with."""
        return {f"{name}_sha256": self.inputs_sha256[name] for name in ("images", "splits")}


def run_record(
    settings: Settings,
    files: RunFiles,
    runtime: Runtime,
    network: nn.Module,
    outcome: Outcome,
    logs: Iterable[Path],
) -> dict[str, Any]:
    """The manifest of a training run: settings, source, inputs, versions, device, cost.

    `started` is when the last attempt began, which finished; `training_wall_s` is that of the epochs of all attempts.
    """
    inputs = files.inputs_sha256
    return {
        "settings": settings.plain(),
        "source_fingerprint": files.source,
        "data_sha256": {name: [inputs[name]] for name in DATA if name in inputs},
        "inputs_sha256": inputs,
        "logs_sha256": {path_from(files.manifest.parent, log): digest_file(log) for log in logs},
        "environment": environment_record(),
        "runtime": runtime.record(),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "epochs_run": len(outcome.rows),
        "best_row": outcome.best_row,
        "resumed_after_epochs": list(outcome.resumed_epochs),
        "training_wall_s": sum(row["seconds"] for row in outcome.rows),
        "peak_memory_bytes": peak_memory_bytes(runtime),
        "started": files.started.isoformat(timespec="milliseconds"),
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def peak_memory_bytes(runtime: Runtime) -> int:
    """Peak memory of this process: on the GPU where one is used, otherwise resident in main memory."""
    if runtime.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(runtime.device))
    return peak_resident_bytes()


def run_files(arguments: Any) -> dict[str, Any]:
    """The fields of `RunFiles` from a training script's command line."""
    return {
        "log": arguments.log_file,
        "manifest": arguments.manifest,
        "resume": arguments.resume_dir,
        "telemetry": arguments.telemetry_dir,
        "source": arguments.source,
        "save_interval_s": arguments.save_interval_s,
        "budget": TimeBudget(arguments.time_budget_min, arguments.began_s),
    }


def step_files(arguments: Any) -> StepFiles:
    """The files named on the command line of a training script that reads images."""
    return StepFiles(
        **run_files(arguments),
        images=arguments.images,
        splits=arguments.splits,
        output=getattr(arguments, "output", arguments.manifest),
        experts=tuple(getattr(arguments, "experts", ())),
    )
