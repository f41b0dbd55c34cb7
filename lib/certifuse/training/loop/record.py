"""One run of a training step: the identity of its state on disk, how its loop runs, and what its manifest says."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from certifuse.base.digests import canonical_json, digest_bytes
from certifuse.base.manifest import StepRecord, peak_resident_bytes
from certifuse.models.compute.runtime import Runtime
from certifuse.study.steps.step import Step
from certifuse.study.steps.training import TrainingFiles
from certifuse.training.loop.budget import TimeBudget
from certifuse.training.loop.loop import LoopSettings, Outcome
from certifuse.training.loop.resume import ResumeStore

SAVE_INTERVAL = "CERTIFUSE_SAVE_INTERVAL_S"
"""Environment variable: seconds between stored states of a training. No setting, because no result depends on it."""
DEFAULT_SAVE_INTERVAL_S = 120.0


@dataclass(frozen=True)
class TrainingRun:
    """A training that has begun: its settings, where it writes, the digests of what it read, the time that it has."""

    step: Step
    files: TrainingFiles
    record: StepRecord
    budget: TimeBudget

    @classmethod
    def begin(cls, step: Step, files: TrainingFiles, inputs: Iterable[Path]) -> Self:
        """Digest all that it reads."""
        budget = TimeBudget(files.time_budget_min, files.began_s)
        return cls(step, files, StepRecord(step, files.source, inputs), budget)

    @property
    def save_interval_s(self) -> float:
        """Seconds between stored states."""
        given = self.files.save_interval_s
        return float(os.environ.get(SAVE_INTERVAL, DEFAULT_SAVE_INTERVAL_S)) if given is None else given

    def plan(self, name: str, epochs: int, *, patience: int | None = None, **more: Any) -> LoopSettings:
        """Settings of the loop for the training `name`; `more` are other fields of `LoopSettings`."""
        own: dict[str, Any] = {
            "save_interval_s": self.save_interval_s,
            "log_file": self.files.log_file,
            "budget": self.budget,
        }
        return LoopSettings(epochs=epochs, patience=patience, name=name, **own | more)

    def store(self, stage: str = "", kind: type[ResumeStore] = ResumeStore) -> ResumeStore:
        """The state of exactly this run, or of one stage of it: its settings, source, PyTorch, and inputs in order."""
        run = {
            "rule": self.step.rule,
            "settings": self.step.plain(),
            "source": self.files.source,
            "torch": str(torch.__version__),
            "inputs": list(self.record.digests.values()),
            "stage": stage,
        }
        directory = self.files.resume_dir / stage if stage else self.files.resume_dir
        return kind(directory, digest_bytes(canonical_json(run).encode())[:24])

    def sha256(self, **files: Path) -> dict[str, str]:
        """The digests of inputs, `name_sha256` each: what a component says of the data that it was trained with."""
        return {f"{name}_sha256": self.record.digests[path] for name, path in files.items()}

    def write_manifest(
        self,
        outputs: Iterable[Path],
        runtime: Runtime,
        network: nn.Module,
        outcome: Outcome,
        data: dict[str, Path],
        **found: Any,
    ) -> None:
        """Write what ran, last of all files.

        Args:
            outputs: every file that was written, logs included.
            runtime: how it ran.
            network: whose parameters are counted.
            outcome: the finished training; its `training_wall_s` is that of the epochs of all attempts.
            data: the inputs that are the data of the study, by name: images, splits, corpus.
            found: what else the step found out; replaces keys of the same name.
        """
        trained = {
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "epochs_run": len(outcome.rows),
            "epoch": outcome.best_epoch,
            "best_row": outcome.best_row,
            "resumed_after_epochs": list(outcome.resumed_epochs),
            "training_wall_s": sum(row["seconds"] for row in outcome.rows),
        }
        self.record.write(
            self.files.manifest,
            outputs,
            runtime=runtime.record(),
            peak_memory_bytes=peak_memory_bytes(runtime),
            data={name: [self.record.digests[path]] for name, path in data.items()},
            found=trained | found,
        )


def peak_memory_bytes(runtime: Runtime) -> int:
    """Peak memory of this process: on the GPU where one is used, otherwise resident in main memory."""
    if runtime.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(runtime.device))
    return peak_resident_bytes()
