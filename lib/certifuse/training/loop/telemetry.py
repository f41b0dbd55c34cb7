"""TensorBoard and Weights & Biases: asked for by environment, never part of a result, never able to stop a run.

`CERTIFUSE_TELEMETRY=tensorboard,wandb` turns them on. W&B stays offline unless `WANDB_MODE` says otherwise.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

log = logging.getLogger(__name__)

VARIABLE = "CERTIFUSE_TELEMETRY"

WANDB_PROJECTS = {
    "densenet": "MCN_DenseNet_Fusion",
    "resnet": "MCN_ResNet_Fusion",
    "improved_wide_resnet": "MCN_ImprovedWideResNet_Fusion",
    "resnext": "MCN_ResNeXt_Fusion",
    "sublora": "sublora",
}
"""The project names of the guides."""


class Writer(Protocol):
    """Takes one row of numbers per epoch."""

    def write(self, row: Mapping[str, Any], epoch: int) -> None:
        """Record a row."""

    def close(self) -> None:
        """Finish."""


class TensorBoardWriter:
    """Scalars into an event directory."""

    def __init__(self, directory: Path, architecture: str, run: str):
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(str(directory / "tensorboard" / run))

    def write(self, row: Mapping[str, float], epoch: int) -> None:
        """One scalar per column."""
        for name, value in row.items():
            self.writer.add_scalar(name, value, epoch)

    def close(self) -> None:
        """Flush the events."""
        self.writer.close()


class WandbWriter:
    """A W&B run, offline by default, in the project that the guides name."""

    def __init__(self, directory: Path, architecture: str, run: str):
        os.environ.setdefault("WANDB_MODE", "offline")
        import wandb

        (directory / "wandb").mkdir(parents=True, exist_ok=True)
        project = WANDB_PROJECTS.get(architecture, f"MCN_{architecture}_Fusion")
        self.run: Any = wandb.init(project=project, name=run, dir=str(directory / "wandb"))

    def write(self, row: Mapping[str, float], epoch: int) -> None:
        """One logged step."""
        self.run.log(dict(row), step=epoch)

    def close(self) -> None:
        """Finish the run."""
        self.run.finish()


WRITERS: dict[str, Any] = {"tensorboard": TensorBoardWriter, "wandb": WandbWriter}


class Silence:
    """The writer of a process that does not report."""

    def write(self, row: Mapping[str, Any], epoch: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Telemetry:
    """All writers that were asked for. The first failure of a writer is logged and ends that writer alone."""

    def __init__(self, directory: Path, architecture: str, run: str):
        self.writers: dict[str, Writer] = {}
        for name in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
            if name not in WRITERS:
                log.warning("%s: unknown writer %r is ignored; known: %s", VARIABLE, name, ", ".join(WRITERS))
                continue
            try:
                self.writers[name] = WRITERS[name](directory, architecture, run)
            except Exception as error:
                log.warning("%s is off for this run: %s", name, error)

    def write(self, row: Mapping[str, Any], epoch: int) -> None:
        """Hand the numbers of a row to every writer."""
        numbers = {name: float(value) for name, value in row.items() if isinstance(value, int | float)}
        self._each("write", numbers, epoch)

    def close(self) -> None:
        """Finish every writer."""
        self._each("close")

    def _each(self, method: str, *arguments: Any) -> None:
        for name, writer in list(self.writers.items()):
            try:
                getattr(writer, method)(*arguments)
            except Exception as error:
                log.warning("%s is off from here on: %s", name, error)
                del self.writers[name]
