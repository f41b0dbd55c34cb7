"""The one training loop: epochs, selection on validation data, early stopping, resume, log and progress."""

import contextlib
import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor
from tqdm import tqdm

from certifuse.base.rows import write_rows
from certifuse.base.tensors import flat, nested
from certifuse.training.loop.budget import TimeBudget
from certifuse.training.loop.finite import NonFiniteLossError
from certifuse.training.loop.resume import ResumeStore, Snapshot
from certifuse.training.loop.telemetry import Writer

log = logging.getLogger(__name__)


Row = dict[str, Any]
"""One epoch in the log."""


class Trainee(Protocol):
    """A network in training, as the loop sees one. An epoch is whatever stretch of training it validates after."""

    def train(self, epoch: int) -> Row:
        """Train for one epoch; the columns of its log row."""

    def validate(self) -> dict[str, float]:
        """Columns from validation data, those that the `Criterion` ranks by among them."""

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
    rows: list[Row]
    resumed_epochs: tuple[int, ...]

    @property
    def best_row(self) -> Row:
        """The log row of the best epoch (epochs count from 1)."""
        return self.rows[self.best_epoch - 1]


@dataclass(frozen=True)
class Criterion:
    """Reading of rows: the best has the highest `rank`, all of it finite; the others are for the eye."""

    rank: Callable[[Row], tuple[float, ...]]
    line: Callable[[Row], str]
    beside_bar: Callable[[Row], str]
    unit: str = "epoch"


def _image_line(row: Row) -> str:
    return (
        f"training loss {row['train_loss']:.4f} nats, validation loss {row['val_loss']:.4f} nats, "
        f"accuracy {row['val_accuracy']:.2f} %, {row['seconds']:.1f} s, {row['images_per_second']:.0f} images/s"
    )


OF_CLASSIFIERS = Criterion(
    rank=lambda row: (row["val_accuracy"], -row["val_loss"]),
    line=_image_line,
    beside_bar=lambda row: f"val_accuracy={row['val_accuracy']:.2f} %",
)
"""The highest validation accuracy (percent); among equals the lowest validation loss (nats)."""


@dataclass(frozen=True)
class LoopSettings:
    """Length of a training, and when to keep what.

    `store_finished` stores the finished run too, for a step that goes on with another one. A `quiet` loop reports
    and logs nothing: it is that of another process of the same run.
    """

    epochs: int
    patience: int | None
    save_interval_s: float
    log_file: Path
    name: str
    criterion: Criterion = OF_CLASSIFIERS
    store_finished: bool = False
    quiet: bool = False
    budget: TimeBudget = field(default_factory=TimeBudget)


def train(
    trainee: Trainee,
    settings: LoopSettings,
    store: ResumeStore,
    telemetry: Writer,
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> Outcome:
    """Train to the end, from the stored state where there is one.

    The best epoch has the highest rank; among equals it is the earliest. `after_epoch(epoch)` runs before an epoch's
    state is stored, so whatever it writes is on disk whenever the run resumes behind it.

    Raises:
        OutOfTimeError: the budget is used up; the state is stored.
    """
    store.note_running(settings.name, settings.epochs)
    run = _begin(trainee, store, settings.name)
    keeper = _Keeper(trainee, run, settings, store)
    with contextlib.closing(telemetry), _progress_bar(settings, len(run.rows)) as bar:
        while not _finished(run, settings):
            if settings.budget.is_used_up():
                keeper.save()
                done = f"{settings.criterion.unit} {len(run.rows)} of {settings.epochs}"
                raise settings.budget.used_up(settings.name, done)
            first = settings.budget.wants_state
            with settings.budget.epoch(settings.name, watched=not settings.quiet):
                with store.noting_non_finite():
                    _train_epoch(trainee, run, settings.criterion)
                _report(settings, run.rows, bar)
                telemetry.write(run.rows[-1], len(run.rows))
                after_epoch(len(run.rows))
            if settings.store_finished if _finished(run, settings) else first or keeper.is_due:
                keeper.save()
    if not settings.quiet:
        write_rows(settings.log_file, run.rows)
    return Outcome(run.best_weights, run.best_epoch, run.rows, tuple(run.resumed_epochs))


@dataclass
class _Run:
    rows: list[Row]
    best_epoch: int
    best_weights: dict[str, Tensor]
    resumed_epochs: list[int]


@dataclass
class _Keeper:
    """Stores the state of a run, and knows whether that is due."""

    trainee: Trainee
    run: _Run
    settings: LoopSettings
    store: ResumeStore

    def __post_init__(self) -> None:
        self._epochs, self._at_s = len(self.run.rows), time.monotonic()

    @property
    def is_due(self) -> bool:
        """True where the last state is old enough."""
        return time.monotonic() - self._at_s >= self.settings.save_interval_s

    def save(self) -> None:
        """Store the state, unless it is stored already."""
        if len(self.run.rows) > self._epochs:
            with self.settings.budget.saving():
                self.store.save(_snapshot(self.trainee, self.run))
            self._epochs, self._at_s = len(self.run.rows), time.monotonic()


def _train_epoch(trainee: Trainee, run: _Run, criterion: Criterion) -> None:
    """One epoch more in the rows, and its weights where it is the best."""
    epoch, rank = len(run.rows) + 1, criterion.rank
    row = {"epoch": epoch, **trainee.train(epoch - 1), **trainee.validate()}
    if not all(map(math.isfinite, rank(row))):
        raise NonFiniteLossError(f"the validation loss is not finite in {criterion.unit} {epoch}: lower the rates")
    run.rows.append(row)
    if rank(row) > rank(run.rows[run.best_epoch - 1]) or run.best_epoch == epoch:
        run.best_epoch = epoch
        run.best_weights = _copy(trainee.weights())


def _begin(trainee: Trainee, store: ResumeStore, name: str) -> _Run:
    snapshot = store.load()
    if snapshot is None:
        return _Run([], 1, {}, [])
    parts = nested(snapshot.tensors, ["state", "best"])
    trainee.restore(parts["state"])
    progress = snapshot.progress
    done = len(progress["rows"])
    log.info("[%s] resumed after epoch %d", name, done)
    return _Run(progress["rows"], progress["best_epoch"], parts["best"], [*progress["resumed_epochs"], done])


def _snapshot(trainee: Trainee, run: _Run) -> Snapshot:
    progress = {"rows": run.rows, "best_epoch": run.best_epoch, "resumed_epochs": run.resumed_epochs}
    return Snapshot(flat({"state": trainee.state(), "best": run.best_weights}), progress)


def _finished(run: _Run, settings: LoopSettings) -> bool:
    done = len(run.rows)
    impatient = settings.patience is not None and done > 0 and done - run.best_epoch >= settings.patience
    return done >= settings.epochs or impatient


def _copy(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def _report(settings: LoopSettings, rows: list[Row], bar: Any) -> None:
    if settings.quiet:
        return
    write_rows(settings.log_file, rows)
    criterion, row = settings.criterion, rows[-1]
    log.info("[%s] %s %d/%d: %s", settings.name, criterion.unit, len(rows), settings.epochs, criterion.line(row))
    bar.update()
    bar.set_postfix_str(criterion.beside_bar(row))


def _progress_bar(settings: LoopSettings, done: int) -> Any:
    """A bar where standard error is a terminal, and nothing elsewhere."""
    name, unit = settings.name, settings.criterion.unit
    disable = True if settings.quiet else None
    return tqdm(total=settings.epochs, initial=done, desc=name, unit=unit, disable=disable, file=sys.stderr)
