"""The time budget of a training, on a clock of its own: when it stops, what is stored then, what is said."""

import time
from types import SimpleNamespace

import pytest
import torch

from certifuse.base.errors import OutOfTimeError, UserError
from certifuse.training.loop import budget as budgets
from certifuse.training.loop.budget import TimeBudget
from certifuse.training.loop.loop import LoopSettings, train
from certifuse.training.loop.resume import ResumeStore
from certifuse.training.loop.telemetry import Silence


class Clock:
    """Goes on when it is told to."""

    def __init__(self):
        self.now_s = 0.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(budgets, "time", made)
    return made


class Sleeper:
    """Its one weight counts epochs, which last as long as they are told."""

    def __init__(self, clock, epochs_s):
        self.clock, self.epochs_s, self.weight = clock, epochs_s, torch.zeros(1)

    def train(self, epoch):
        self.clock.now_s += self.epochs_s[epoch]
        self.weight += epoch + 1
        return {"train_loss": 0.5, "seconds": self.epochs_s[epoch], "images_per_second": 1.0}

    def validate(self):
        return {"val_accuracy": float(self.weight), "val_loss": 1.0}

    def weights(self):
        return {"weight": self.weight}

    state = weights

    def restore(self, tensors):
        self.weight = tensors["weight"]


class SlowStore(ResumeStore):
    """Takes its time to store."""

    clock, saving_s = None, 0.0

    def save(self, snapshot):
        self.clock.now_s += self.saving_s
        super().save(snapshot)


def run(where, clock, epochs_s, minutes, saving_s=0.0, interval_s=1e9, any_of=bool):
    """An attempt: how it ended, and the epochs that are stored then."""
    store = SlowStore(where / "resume", "same")
    store.clock, store.saving_s = clock, saving_s
    budget = TimeBudget(minutes, clock.now_s, any_of)
    plan = LoopSettings(len(epochs_s), None, interval_s, where / "log.csv", "run", budget=budget)
    try:
        end = train(Sleeper(clock, epochs_s), plan, store, Silence())
    except (OutOfTimeError, UserError) as error:
        end = error
    snapshot = store.load()
    return end, 0 if snapshot is None else len(snapshot.progress["rows"])


@pytest.mark.parametrize(
    ("minutes", "epochs_s", "saving_s", "stored"),
    [
        (1.0, [10.0] * 8, 0.0, 5),  # a tenth is kept back: 54 s
        (1.0, [6.0] * 12, 0.0, 9),  # to the second
        (1.0, [6.1] * 12, 0.0, 8),
        (1.0, [10.0, 20.0, 10.0, 10.0], 0.0, 3),  # the longest epoch counts, although 14 s are left
        (1.0, [10.0] * 8, 5.0, 4),  # and so does the storing of the state: once after the first epoch, once at the end
        (60.0, [300.0] * 12, 0.0, 11),  # at most two minutes are kept back
    ],
)
def test_it_stops_in_time_with_its_state_stored(tmp_path, clock, minutes, epochs_s, saving_s, stored):
    end, epochs = run(tmp_path, clock, epochs_s, minutes, saving_s)
    assert isinstance(end, OutOfTimeError)
    assert f"run: stopped after epoch {stored} of {len(epochs_s)} and stored, before the limit" in str(end)
    assert epochs == stored
    assert clock.now_s <= 60 * minutes


def test_the_start_counts(tmp_path, clock):
    clock.now_s = 100.0
    budget = TimeBudget(1.0, began_s=75.0)
    assert budget.left_s == 29.0
    assert TimeBudget(None, began_s=75.0).left_s == float("inf")


def test_attempts_that_run_out_of_time_end_as_one_that_does_not(tmp_path, clock):
    epochs_s = [10.0] * 12
    whole, _ = run(tmp_path / "whole", clock, epochs_s, None)
    ends = [run(tmp_path / "broken", clock, epochs_s, 1.0) for _ in range(3)]
    assert [stored for _, stored in ends] == [5, 10, 11]
    assert whole.resumed_epochs == ()
    last = ends[-1][0]
    assert last.resumed_epochs == (5, 10)
    assert (last.rows, last.best_epoch, last.best_weights) == (whole.rows, whole.best_epoch, whole.best_weights)


def test_without_a_limit_nothing_is_stored_early(tmp_path, clock):
    """The control: it is the limit that makes the first epoch of an attempt be stored."""
    end, stored = run(tmp_path, clock, [1e9] * 3, None)
    assert len(end.rows) == 3
    assert stored == 0


def test_every_attempt_gets_on(tmp_path, clock):
    """The first epoch is stored at once, so that a later one that lasts too long does not cost it."""
    end, stored = run(tmp_path, clock, [1.0] * 3, 10.0)
    assert len(end.rows) == 3
    assert stored == 1


def test_it_stops_when_another_process_has_to(tmp_path, clock):
    asked = []
    end, stored = run(tmp_path, clock, [10.0] * 8, 1.0, any_of=lambda flag: asked.append(flag) or len(asked) == 3)
    assert isinstance(end, OutOfTimeError)
    assert asked == [False, False, False]
    assert stored == 2


# ---- an epoch that does not end ----------------------------------------------------------------------


def epoch_of(budget, seconds):
    with budget.epoch("run", watched=True):
        time.sleep(seconds)


def test_no_epoch_that_fits_is_one_line():
    with pytest.raises(
        UserError, match=r"^run: expected an epoch to end within the limit of 0.005 minutes, found none"
    ):
        epoch_of(TimeBudget(0.005), 30.0)


def test_no_time_left_after_the_start_is_the_same_line():
    with pytest.raises(UserError, match=r"found none: 6\d\.\d s were needed to start; ask for more time \(snakemake"):
        epoch_of(TimeBudget(1.0, began_s=time.monotonic() - 60.0), 30.0)


def test_a_later_epoch_that_lasts_too_long_is_left_to_the_next_attempt():
    budget = TimeBudget(0.01)
    epoch_of(budget, 0.0)
    with pytest.raises(OutOfTimeError, match="in an epoch longer than those before; the next attempt goes on from"):
        epoch_of(budget, 30.0)


@pytest.mark.parametrize(("minutes", "watched"), [(0.005, False), (None, True), (1.0, True)])
def test_an_epoch_that_nobody_waits_for_ends(minutes, watched):
    """The control: neither process that follows, nor without a limit, nor within it."""
    ended = SimpleNamespace(epochs=0)
    with TimeBudget(minutes).epoch("run", watched=watched):
        time.sleep(0.4)
        ended.epochs += 1
    assert ended.epochs == 1
