"""Training that is cut off, by an exception or by SIGKILL, and goes on: every byte as if nothing had been.

The comparison is by digest of the component files and by the rows of the log, but for the two columns that measure
time. Negative controls are in `test_resume_controls`.
"""

import json
import os
import signal
import subprocess
import time
from dataclasses import replace

import pytest
import torch
from cut_off import CutOffError, unmeasured
from language_study import FAST
from safetensors import safe_open
from step_commands import step_command

from certifuse.steps import pretrain_expert as pretraining
from certifuse.steps import train_fusion as recipe
from certifuse.study.cells import Member
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.study.steps.training import PretrainExpert
from certifuse.training.loop import loop
from certifuse.training.loop.resume import ResumeStore

CHOICES = {"fusion": "TransformerBase", "epochs": 4, "save_every": 1, "dropout": 0.3, "expert_accumulation_steps": 3}
SAVING = {"files": {"save_interval_s": 0.0}}
LAYOUTS = {
    "fp32": ExecutionSettings(threads=1, device="cpu", precision="fp32", channels_last="off", compile="off"),
    "fp32 channels_last": ExecutionSettings(threads=1, device="cpu", precision="fp32", compile="off"),
    "bf16 channels_last": ExecutionSettings(threads=1, device="cpu", precision="bf16", compile="off"),
    "experts side by side": ExecutionSettings(threads=2, device="cpu", precision="bf16", compile="off"),
}


def train(run):
    recipe.train_fusion(run.step, run.files)


def cut_off(run, monkeypatch, epoch):
    """Train until `after_epoch` of an epoch, which writes components and comes before the state is stored."""
    write = recipe.write_components

    def failing(directory, specs, states, cell, about):
        if about["epoch"] == epoch:
            raise CutOffError
        return write(directory, specs, states, cell, about)

    with monkeypatch.context() as patch:
        patch.setattr(recipe, "write_components", failing)
        with pytest.raises(CutOffError):
            train(run)


def assert_same_end(run, whole):
    assert run.components == whole.components
    assert run.rows == whole.rows
    assert unmeasured(run.manifest) == unmeasured(whole.manifest)


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """The uninterrupted run for each execution."""
    done = {}

    def of(name):
        if name not in done:
            done[name] = tiny.train(tmp_path_factory.mktemp("whole"), execution=LAYOUTS[name], **CHOICES)
        return done[name]

    return of


@pytest.mark.parametrize("execution", LAYOUTS)
@pytest.mark.parametrize("epoch", [1, 2, 4])
def test_a_run_that_is_cut_off_ends_as_the_uninterrupted_one(tiny, tmp_path, monkeypatch, whole, execution, epoch):
    run = tiny.prepare(tmp_path, execution=LAYOUTS[execution], **SAVING, **CHOICES)
    cut_off(run, monkeypatch, epoch)
    train(run)
    assert_same_end(run, whole(execution))
    assert run.manifest["resumed_after_epochs"] == ([epoch - 1] if epoch > 1 else [])
    assert not run.files.resume_dir.exists()


@pytest.mark.parametrize("execution", ["bf16 channels_last", "experts side by side"])
def test_a_fast_recipe_that_is_cut_off_ends_as_the_uninterrupted_one(tiny, tmp_path, monkeypatch, execution):
    """Muon in bf16, image sizes and flips that change with the epoch, averaged weights."""
    choices = CHOICES | FAST | {"execution": LAYOUTS[execution]}
    run = tiny.prepare(tmp_path / "cut off", **SAVING, **choices)
    cut_off(run, monkeypatch, 3)
    train(run)
    assert run.manifest["resumed_after_epochs"] == [2]
    assert_same_end(run, tiny.train(tmp_path / "whole", **choices))


def test_a_run_that_is_cut_off_twice_ends_as_the_uninterrupted_one(tiny, tmp_path, monkeypatch, whole):
    run = tiny.prepare(tmp_path, execution=LAYOUTS["fp32"], **SAVING, **CHOICES)
    cut_off(run, monkeypatch, 2)
    cut_off(run, monkeypatch, 4)
    train(run)
    assert_same_end(run, whole("fp32"))
    assert run.manifest["resumed_after_epochs"] == [1, 3]


def test_declared_outputs_that_are_deleted_before_the_retry_do_not_matter(tiny, tmp_path, monkeypatch, whole):
    """Snakemake deletes them, the log too; what was stored per epoch is not declared and stays."""
    run = tiny.prepare(tmp_path, execution=LAYOUTS["fp32"], **SAVING, **CHOICES)
    cut_off(run, monkeypatch, 3)
    run.files.log_file.unlink()
    train(run)
    assert_same_end(run, whole("fp32"))


def stored(run):
    """The store of a run and what its newest state holds."""
    (newest,) = (path for path in run.files.resume_dir.glob("*.safetensors") if "previous" not in path.name)
    store = ResumeStore(run.files.resume_dir, newest.name.removesuffix(".safetensors"))
    return store, store.load()


def test_a_damaged_newest_state_gives_way_to_the_one_before(tiny, tmp_path, monkeypatch, whole, caplog):
    run = tiny.prepare(tmp_path, execution=LAYOUTS["fp32"], **SAVING, **CHOICES)
    cut_off(run, monkeypatch, 4)
    store, _ = stored(run)
    data = bytearray(store.newest.read_bytes())
    data[-5] ^= 16
    store.newest.write_bytes(bytes(data))
    train(run)
    assert f"{store.newest}: damaged" in caplog.text
    assert run.manifest["resumed_after_epochs"] == [2]
    assert_same_end(run, whole("fp32"))


@pytest.mark.parametrize(
    "other", [{"lam": "2.0"}, {"seed": 1}, {"dropout": 0.2}, {"files": {"save_interval_s": 0.0, "source": "edited"}}]
)
def test_the_state_of_another_run_is_not_taken(tiny, tmp_path, monkeypatch, other):
    """Another lambda, seed, setting or source in the same directory: trained from the start, as if alone."""
    cut_off(tiny.prepare(tmp_path / "shared", **SAVING, **CHOICES), monkeypatch, 3)
    here = tiny.train(tmp_path / "shared", **SAVING | CHOICES | other)
    alone = tiny.train(tmp_path / "alone", **CHOICES | other)
    assert here.manifest["resumed_after_epochs"] == []
    assert here.components == alone.components


def test_the_state_from_other_inputs_is_not_taken(tiny, tmp_path, monkeypatch):
    run = tiny.prepare(tmp_path, **SAVING, **CHOICES)
    cut_off(run, monkeypatch, 3)
    swapped = tiny.train(tmp_path, **CHOICES | {"files": {"experts": run.files.experts[::-1], "save_interval_s": 0.0}})
    assert swapped.manifest["resumed_after_epochs"] == []


def test_an_expert_that_is_cut_off_ends_as_the_uninterrupted_one(tiny, tmp_path, monkeypatch):
    training = ExpertTraining(epochs=3, batch_size=16, lr=0.05, warmup_epochs=0.5, augmentation="cutmix")
    execution = LAYOUTS["fp32 channels_last"]
    architecture = {"name": "resnet", "width": 4, "blocks": [1, 1]}
    cell = Member("resnet", 0, "expert_0")
    step = PretrainExpert(cell=cell, architecture=architecture, training=training, execution=execution)

    def pretrain(where):
        files = tiny.pretraining_files(where, save_interval_s=0.0)
        pretraining.pretrain_expert(step, files)
        return files.output.read_bytes()

    expected = pretrain(tmp_path / "whole")
    rows = loop.write_rows

    def failing(path, table):
        if len(table) == 3:
            raise CutOffError
        rows(path, table)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_rows", failing)
        with pytest.raises(CutOffError):
            pretrain(tmp_path / "broken")
    assert pretrain(tmp_path / "broken") == expected
    manifest = json.loads((tmp_path / "broken" / "cell" / "manifest.json").read_text())
    assert manifest["resumed_after_epochs"] == [2]


# ---- a real process, a real SIGKILL --------------------------------------------------------------


def command(run):
    return step_command(run.step, replace(run.files, save_interval_s=0.0))


def epochs_stored(run):
    """Epochs in the newest state of a running process; 0 while there is none."""
    for path in run.files.resume_dir.glob("*.safetensors"):
        if "previous" not in path.name:
            try:
                with safe_open(path, "pt") as stream:
                    return json.dumps(stream.metadata()).count("val_accuracy")
            except (OSError, RuntimeError):  # replaced in between
                return 0
    return 0


@pytest.mark.parametrize("recipe", [{}, FAST], ids=["plain", "fast"])
def test_a_process_that_is_killed_ends_as_the_uninterrupted_one(tiny, tmp_path, recipe):
    """SIGKILL at whatever moment after the third stored epoch; then the same command to its end."""
    choices = CHOICES | recipe | {"epochs": 40, "save_every": 7, "execution": LAYOUTS["fp32 channels_last"]}
    run = tiny.prepare(tmp_path / "killed", **SAVING, **choices)
    with subprocess.Popen(command(run), stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while epochs_stored(run) < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, process.stderr.read()
    assert not run.files.manifest.exists()
    assert json.loads((run.files.resume_dir / "running.json").read_text())["pid"] == process.pid
    done = subprocess.run(command(run), capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert "resumed after epoch" in done.stderr
    assert run.manifest["resumed_after_epochs"][0] >= 3
    torch.set_num_threads(1)
    assert_same_end(run, tiny.train(tmp_path / "whole", **choices))
