"""The loop, with a trainee that is a number: selection, early stopping, order of events, resuming."""

import csv
import logging

import pytest
import torch

from certifuse.training.loop.loop import LoopSettings, train
from certifuse.training.loop.resume import ResumeStore
from certifuse.training.loop.telemetry import Telemetry


class Counter:
    """Its one weight counts epochs; its validation results are given."""

    def __init__(self, accuracies, losses=None):
        self.accuracies, self.losses = accuracies, losses or [1.0] * len(accuracies)
        self.weight, self.trained = torch.zeros(1), []

    def train(self, epoch):
        self.weight += 1
        self.trained.append(epoch)
        return {"train_loss": 0.5, "seconds": 1.0, "images_per_second": 10.0}

    def validate(self):
        epoch = len(self.trained) - 1 if not self.trained else self.trained[-1]
        return {"val_accuracy": self.accuracies[epoch], "val_loss": self.losses[epoch]}

    def weights(self):
        return {"weight": self.weight}

    def state(self):
        return {"weight": self.weight}

    def restore(self, tensors):
        self.weight = tensors["weight"]


def run(where, trainee, patience=None, save_interval_s=0.0, after_epoch=lambda epoch: None, telemetry=None):
    plan = LoopSettings(len(trainee.accuracies), patience, save_interval_s, where / "log.csv", "run")
    telemetry = telemetry or Telemetry(where, "resnet", "run")
    return train(trainee, plan, ResumeStore(where / "resume", "same"), telemetry, after_epoch)


def logged(where):
    with (where / "log.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("accuracies", "losses", "best"),
    [
        ([10.0, 30.0, 20.0], [1.0, 1.0, 0.1], 2),
        ([10.0, 30.0, 30.0], [1.0, 1.0, 0.5], 3),  # equal accuracy: the lower loss
        ([10.0, 30.0, 30.0], [1.0, 0.5, 0.5], 2),  # equal in both: the earlier
        ([30.0, 10.0, 20.0], [9.0, 0.1, 0.1], 1),
    ],
)
def test_the_best_epoch_and_its_weights_are_kept(tmp_path, accuracies, losses, best):
    outcome = run(tmp_path, Counter(accuracies, losses))
    assert outcome.best_epoch == best
    assert outcome.best_weights["weight"].tolist() == [best]  # a copy from then, not the live weights
    assert outcome.best_row == outcome.rows[best - 1]
    assert [row["epoch"] for row in outcome.rows] == [1, 2, 3]
    assert [row["val_accuracy"] for row in logged(tmp_path)] == [str(value) for value in accuracies]


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (3, 7), (None, 7)])
def test_early_stopping_counts_epochs_since_the_best(tmp_path, patience, epochs):
    outcome = run(tmp_path, Counter([10.0, 20.0, 15.0, 15.0, 25.0, 5.0, 5.0]), patience)
    assert len(outcome.rows) == epochs
    assert outcome.best_epoch == (2 if epochs < 5 else 5)


def test_files_of_an_epoch_are_written_before_its_state_is_stored(tmp_path):
    stored = []
    store = ResumeStore(tmp_path / "resume", "same")

    def after_epoch(epoch):
        snapshot = store.load()
        stored.append((epoch, 0 if snapshot is None else len(snapshot.progress["rows"]), len(logged(tmp_path))))

    run(tmp_path, Counter([1.0, 2.0, 3.0]), after_epoch=after_epoch)
    assert stored == [(1, 0, 1), (2, 1, 2), (3, 2, 3)]


def test_state_is_stored_no_more_often_than_asked(tmp_path):
    run(tmp_path, Counter([1.0, 2.0, 3.0]), save_interval_s=1e9)
    assert not list((tmp_path / "resume").glob("*.safetensors"))


class StoppedError(Exception):
    pass


def interrupted(where, trainee, after, telemetry=None, patience=None):
    def after_epoch(epoch):
        if epoch == after:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(where, trainee, patience, after_epoch=after_epoch, telemetry=telemetry)


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_an_interrupted_run_ends_as_the_uninterrupted_one(tmp_path, after):
    accuracies, losses = [10.0, 30.0, 30.0, 20.0], [1.0, 0.5, 0.6, 0.1]
    whole = run(tmp_path / "whole", Counter(accuracies, losses))
    interrupted(tmp_path / "broken", Counter(accuracies, losses), after)
    second = Counter(accuracies, losses)
    resumed = run(tmp_path / "broken", second)
    assert second.trained == list(range(after - 1, 4))  # the epoch that was cut off, and those after it
    assert resumed.rows == whole.rows
    assert resumed.best_epoch == whole.best_epoch
    assert resumed.best_weights == whole.best_weights
    assert resumed.resumed_epochs == ((after - 1,) if after > 1 else ())
    assert (tmp_path / "broken" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()


def test_patience_is_remembered(tmp_path):
    accuracies = [10.0, 20.0, 15.0, 15.0, 25.0]
    interrupted(tmp_path, Counter(accuracies), 4, patience=2)
    assert len(run(tmp_path, Counter(accuracies), patience=2).rows) == 4


def test_a_run_that_is_interrupted_twice_says_so(tmp_path):
    accuracies = [1.0, 2.0, 3.0, 4.0]
    interrupted(tmp_path, Counter(accuracies), 2)
    interrupted(tmp_path, Counter(accuracies), 4)
    assert run(tmp_path, Counter(accuracies)).resumed_epochs == (1, 3)


def test_telemetry_is_finished_also_when_the_run_is_not(tmp_path):
    closed = []
    telemetry = Telemetry(tmp_path, "resnet", "run")
    telemetry.close = lambda: closed.append(1)
    interrupted(tmp_path, Counter([1.0, 2.0]), 1, telemetry)
    assert closed == [1]


def test_progress_is_a_line_per_epoch(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        run(tmp_path, Counter([12.5, 50.0]))
    lines = [record.getMessage() for record in caplog.records if "epoch" in record.getMessage()]
    assert lines[1].startswith(
        "[run] epoch 2/2: training loss 0.5000 nats, validation loss 1.0000 nats, accuracy 50.00 %"
    )
    assert len(lines) == 2
