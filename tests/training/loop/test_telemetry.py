"""Telemetry with stand-ins for TensorBoard and W&B: off unless asked for, and never in the way."""

import os
import sys
import types

import pytest

from certifuse.reporting.cells import ARCHITECTURES
from certifuse.training.loop.telemetry import VARIABLE, WANDB_PROJECTS, WRITERS, Telemetry

ROW = {"epoch": 1, "train_loss": 0.5, "lambda": "1.0", "val_accuracy": 50}
NUMBERS = {"epoch": 1.0, "train_loss": 0.5, "val_accuracy": 50.0}


class Recorder:
    """Stands for `wandb` and for a `SummaryWriter`."""

    def __init__(self, *arguments, **options):
        self.arguments, self.options, self.calls = arguments, options, []

    def __getattr__(self, name):
        return lambda *arguments, **options: self.calls.append((name, arguments, options))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("WANDB_MODE", "")
    monkeypatch.delenv("WANDB_MODE")


@pytest.fixture
def wandb(monkeypatch):
    runs = []

    def init(**options):
        runs.append(Recorder(**options))
        return runs[-1]

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    return runs


@pytest.fixture
def tensorboard(monkeypatch):
    writers = []

    def summary_writer(*arguments):
        writers.append(Recorder(*arguments))
        return writers[-1]

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=summary_writer))
    return writers


def test_nothing_is_written_unless_asked_for(tmp_path, wandb, tensorboard):
    telemetry = Telemetry(tmp_path, "resnet", "run")
    telemetry.write(ROW, 1)
    telemetry.close()
    assert (wandb, tensorboard) == ([], [])
    assert list(tmp_path.iterdir()) == []


def test_wandb_gets_the_numbers_of_each_epoch_offline(tmp_path, monkeypatch, wandb):
    monkeypatch.setenv(VARIABLE, "wandb")
    telemetry = Telemetry(tmp_path, "densenet", "run")
    telemetry.write(ROW, 1)
    telemetry.close()
    assert os.environ["WANDB_MODE"] == "offline"
    assert wandb[0].options == {"project": "MCN_DenseNet_Fusion", "name": "run", "dir": str(tmp_path / "wandb")}
    assert wandb[0].calls == [("log", (NUMBERS,), {"step": 1}), ("finish", (), {})]


def test_wandb_is_online_where_the_user_says_so(tmp_path, monkeypatch, wandb):
    monkeypatch.setenv(VARIABLE, "wandb")
    monkeypatch.setenv("WANDB_MODE", "online")
    Telemetry(tmp_path, "resnet", "run")
    assert os.environ["WANDB_MODE"] == "online"


def test_projects_are_those_of_the_guides(tmp_path, monkeypatch, wandb):
    monkeypatch.setenv(VARIABLE, "wandb")
    for architecture in ARCHITECTURES:
        Telemetry(tmp_path, architecture, "run")
    projects = [run.options["project"] for run in wandb]
    assert dict(zip(ARCHITECTURES, projects, strict=True)) == {
        "resnet": "MCN_ResNet_Fusion",
        "densenet": "MCN_DenseNet_Fusion",
        "improved_wide_resnet": "MCN_ImprovedWideResNet_Fusion",
        "resnext": "MCN_ResNeXt_Fusion",
    }
    assert set(WANDB_PROJECTS) == {*ARCHITECTURES, "sublora"}


def test_tensorboard_gets_one_scalar_per_number(tmp_path, monkeypatch, tensorboard):
    monkeypatch.setenv(VARIABLE, "tensorboard")
    telemetry = Telemetry(tmp_path, "resnet", "run")
    telemetry.write(ROW, 1)
    telemetry.close()
    assert tensorboard[0].arguments == (str(tmp_path / "tensorboard" / "run"),)
    scalars = [("add_scalar", (name, value, 1), {}) for name, value in NUMBERS.items()]
    assert tensorboard[0].calls == [*scalars, ("close", (), {})]


def test_several_writers_and_spaces(tmp_path, monkeypatch, wandb, tensorboard):
    monkeypatch.setenv(VARIABLE, " tensorboard , wandb,")
    assert list(Telemetry(tmp_path, "resnet", "run").writers) == list(WRITERS)


def test_an_unknown_writer_is_ignored_with_a_warning(tmp_path, monkeypatch, caplog, wandb):
    monkeypatch.setenv(VARIABLE, "mlflow,wandb")
    assert list(Telemetry(tmp_path, "resnet", "run").writers) == ["wandb"]
    assert "unknown writer 'mlflow' is ignored; known: tensorboard, wandb" in caplog.text


@pytest.mark.parametrize(("name", "module"), [("wandb", "wandb"), ("tensorboard", "torch.utils.tensorboard")])
def test_a_writer_that_is_not_installed_is_off(tmp_path, monkeypatch, caplog, name, module):
    monkeypatch.setenv(VARIABLE, name)
    monkeypatch.setitem(sys.modules, module, None)  # what Python does for a module that is not there
    telemetry = Telemetry(tmp_path, "resnet", "run")
    telemetry.write(ROW, 1)
    assert telemetry.writers == {}
    assert f"{name} is off for this run" in caplog.text


@pytest.mark.parametrize("failing", ["log", "finish"])
def test_a_writer_that_fails_is_left_alone_and_logged_once(tmp_path, monkeypatch, caplog, wandb, tensorboard, failing):
    monkeypatch.setenv(VARIABLE, "wandb,tensorboard")
    telemetry = Telemetry(tmp_path, "resnet", "run")

    def fail(*arguments, **options):
        raise ConnectionError("no route to host")

    setattr(wandb[0], failing, fail)
    telemetry.write(ROW, 1)
    telemetry.write(ROW, 2)
    telemetry.close()
    assert caplog.text.count("wandb is off from here on: no route to host") == 1
    assert len(tensorboard[0].calls) == 2 * len(NUMBERS) + 1  # the other one has gone on


def test_a_failing_writer_changes_nothing_in_a_run(tiny, tmp_path, monkeypatch, wandb, caplog):
    quiet = tiny.train(tmp_path / "quiet")
    monkeypatch.setenv(VARIABLE, "wandb")
    monkeypatch.setattr(Recorder, "__getattr__", lambda self, name: 1 / 0)
    watched = tiny.train(tmp_path / "watched")
    assert "wandb is off" in caplog.text
    assert watched.components == quiet.components
    assert watched.rows == quiet.rows
