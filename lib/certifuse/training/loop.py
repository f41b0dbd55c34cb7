"""The one training loop: epochs, selection on validation data, early stopping, resume, log and progress."""

import contextlib
import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor
from tqdm import tqdm

from certifuse.rows import write_rows
from certifuse.training.epoch import NonFiniteLossError
from certifuse.training.resume import ResumeStore, Snapshot
from certifuse.training.telemetry import Telemetry

log = logging.getLogger(__name__)


class Trainee(Protocol):
    """What the loop trains."""

    def train(self, epoch: int) -> dict[str, Any]:
        """Train for one epoch; the columns of its log row."""

    def validate(self) -> dict[str, float]:
        """Columns from validation data: at least `val_accuracy` (percent) and `val_loss` (nats)."""

    def weights(self) -> dict[str, Tensor]:
        """The network's parameters and buffers, live."""

    def state(self) -> dict[str, Tensor]:
        """Everything that training changes: weights and optimiser state."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""


@dataclass(frozen=True)
class Outcome:
    """A finished run: the weights of its best epoch, and the log."""

    best_weights: dict[str, Tensor]
    best_epoch: int
    rows: list[dict[str, Any]]
    resumed_epochs: tuple[int, ...]

    @property
    def best_row(self) -> dict[str, Any]:
        """The log row of the best epoch (epochs count from 1)."""
        return self.rows[self.best_epoch - 1]


@dataclass(frozen=True)
class LoopSettings:
    """How long to train, and when to keep what."""

    epochs: int
    patience: int | None
    save_interval_s: float
    log_file: Path
    name: str


def train(
    trainee: Trainee,
    settings: LoopSettings,
    store: ResumeStore,
    telemetry: Telemetry,
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> Outcome:
    """Train to the end, from the stored state where there is one.

    The best epoch has the highest validation accuracy; among equals the lowest validation loss, then the
    earliest. `after_epoch(epoch)` runs before an epoch's state is stored, so whatever it writes is on disk
    whenever the run resumes behind it.
    """
    store.note_running(settings.name, settings.epochs)
    run = _begin(trainee, store)
    saved_at = time.monotonic()
    with contextlib.closing(telemetry), _progress_bar(settings, len(run.rows)) as bar:
        while not _finished(run, settings):
            epoch = len(run.rows)
            row = {"epoch": epoch + 1, **trainee.train(epoch), **trainee.validate()}
            if not math.isfinite(row["val_loss"]):
                raise NonFiniteLossError(f"the validation loss is not finite in epoch {epoch + 1}: lower the rates")
            run.rows.append(row)
            if _rank(row) > _rank(run.rows[run.best_epoch - 1]) or run.best_epoch == epoch + 1:
                run.best_epoch = epoch + 1
                run.best_weights = _copy(trainee.weights())
            write_rows(settings.log_file, run.rows)
            telemetry.write(row, epoch + 1)
            log.info("%s", _line(settings, row))
            bar.update()
            bar.set_postfix(val_accuracy=f"{row['val_accuracy']:.2f} %")
            after_epoch(epoch + 1)
            if time.monotonic() - saved_at >= settings.save_interval_s and not _finished(run, settings):
                store.save(_snapshot(trainee, run))
                saved_at = time.monotonic()
    write_rows(settings.log_file, run.rows)
    return Outcome(run.best_weights, run.best_epoch, run.rows, tuple(run.resumed_epochs))


@dataclass
class _Run:
    rows: list[dict[str, Any]]
    best_epoch: int
    best_weights: dict[str, Tensor]
    resumed_epochs: list[int]


def _begin(trainee: Trainee, store: ResumeStore) -> _Run:
    snapshot = store.load()
    if snapshot is None:
        return _Run([], 1, {}, [])
    parts: dict[str, dict[str, Tensor]] = {"state": {}, "best": {}}
    for name, tensor in snapshot.tensors.items():
        part, rest = name.split("/", 1)
        parts[part][rest] = tensor
    trainee.restore(parts["state"])
    progress = snapshot.progress
    done = len(progress["rows"])
    log.info("resumed after epoch %d", done)
    return _Run(progress["rows"], progress["best_epoch"], parts["best"], [*progress["resumed_epochs"], done])


def _snapshot(trainee: Trainee, run: _Run) -> Snapshot:
    tensors = {f"state/{name}": tensor for name, tensor in trainee.state().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in run.best_weights.items()}
    progress = {"rows": run.rows, "best_epoch": run.best_epoch, "resumed_epochs": run.resumed_epochs}
    return Snapshot(tensors, progress)


def _finished(run: _Run, settings: LoopSettings) -> bool:
    done = len(run.rows)
    impatient = settings.patience is not None and done > 0 and done - run.best_epoch >= settings.patience
    return done >= settings.epochs or impatient


def _rank(row: dict[str, Any]) -> tuple[float, float]:
    return (row["val_accuracy"], -row["val_loss"])


def _copy(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def _progress_bar(settings: LoopSettings, done: int) -> Any:
    """A bar where standard error is a terminal, and nothing elsewhere."""
    name, epochs = settings.name, settings.epochs
    return tqdm(total=epochs, initial=done, desc=name, unit="epoch", disable=None, file=sys.stderr)


def _line(settings: LoopSettings, row: dict[str, Any]) -> str:
    return (
        f"[{settings.name}] epoch {row['epoch']}/{settings.epochs}: training loss {row['train_loss']:.4f} nats, "
        f"validation loss {row['val_loss']:.4f} nats, accuracy {row['val_accuracy']:.2f} %, "
        f"{row['seconds']:.1f} s, {row['images_per_second']:.0f} images/s"
    )
