"""The progress of a task of a study: done, running, waiting or failed."""

import socket
from dataclasses import dataclass
from typing import Any, Literal

from certifuse.cli.status.traces import age_s, json_of, last_line, logged_epochs, number, process_exists, size
from certifuse.study.tasks import Evaluation, Task, Training

TaskState = Literal["done", "running", "waiting", "failed"]
STATES: tuple[TaskState, ...] = ("done", "running", "waiting", "failed")

RECENT_S = 900.0
"""A job on another machine, or one that has said nothing yet, counts as alive this long after its last sign."""


@dataclass(frozen=True)
class Progress:
    """`epoch` is the last epoch of an unfinished training, and the best one of a finished training."""

    state: TaskState
    epoch: int | None = None
    epochs: int | None = None
    val_accuracy_percent: float | None = None
    seconds_left: float | None = None
    detail: str = ""
    log: str | None = None


def progress_of(task: Task, now: float) -> Progress:
    """The progress of a task at the time `now`, in Unix seconds.

    A task whose files are there is done, even where the configuration has changed since: `snakemake -n` says what
    is stale.
    """
    if task.training is None:
        return _scored(task.evaluation, now, {})
    manifest = json_of(task.training.manifest)
    if not manifest:
        return _trained(task.training, now)
    best = manifest.get("best_row")
    accuracy = number(best.get("val_accuracy")) if isinstance(best, dict) else None
    known = {"epoch": manifest.get("epoch"), "epochs": task.training.epochs, "val_accuracy_percent": accuracy}
    return _scored(task.evaluation, now, known)


def _scored(evaluation: Evaluation | None, now: float, known: dict[str, Any]) -> Progress:
    if evaluation is None or size(evaluation.metrics):
        return Progress("done", **known)
    age = age_s(evaluation.log, now)
    if age is None:
        return Progress("waiting", **known, detail="trained, not yet evaluated" if known else "")
    if not size(evaluation.log) and age < RECENT_S:
        return Progress("running", **known, detail="being evaluated", log=str(evaluation.log))
    return Progress("failed", **known, detail=last_line(evaluation.log) or "interrupted", log=str(evaluation.log))


def _trained(training: Training, now: float) -> Progress:
    note = json_of(training.resume / "running.json")
    if not note and age_s(training.log, now) is None:
        return Progress("waiting", epochs=training.epochs)
    logged = logged_epochs(training.csv)
    noted = note.get("epochs")
    epochs = noted if isinstance(noted, int) else training.epochs
    common: dict[str, Any] = {
        "epoch": logged.epoch,
        "epochs": epochs,
        "val_accuracy_percent": logged.val_accuracy_percent,
        "log": str(training.log),
    }
    if _alive(training, note, now, logged.epoch_s):
        left = None
        if epochs is not None and logged.epoch is not None and logged.epoch_s is not None:
            left = max(epochs - logged.epoch, 0) * logged.epoch_s
        who = f"process {note.get('pid')} on {note.get('host')}" if note else "starting"
        return Progress("running", **common, seconds_left=left, detail=who)
    kept = " [state kept: the next run resumes]" if any(training.resume.glob("*.safetensors")) else ""
    return Progress("failed", **common, detail=f"{last_line(training.log) or 'interrupted'}{kept}")


def _alive(training: Training, note: dict[str, Any], now: float, epoch_s: float | None) -> bool:
    """Tell if a training without manifest runs: by its process here, by its last sign elsewhere or before its note."""
    if note.get("host") == socket.gethostname():
        return process_exists(note.get("pid"))
    if not note and size(training.log):
        return False
    signs = (training.log, training.csv, training.resume / "running.json")
    silences_s = [age for path in signs if (age := age_s(path, now)) is not None]
    return min(silences_s, default=RECENT_S) < max(RECENT_S, 3 * (epoch_s or 0.0))
