"""Room on disk is looked for before a training begins; a directory that cannot be written is one line at the start."""

import os
import re
import shutil
from collections import namedtuple

import pytest
import torch
from step_commands import step_command

from certifuse.base import machine as disk
from certifuse.base.errors import UserError
from certifuse.base.machine import DiskError, require_room, require_writable, stored_bytes
from certifuse.steps import train_fusion as recipe
from certifuse.training.loop.resume import ResumeStore
from certifuse.training.optimisation import make_optimiser, optimiser_bytes, optimiser_tensors

Usage = namedtuple("Usage", ["total", "used", "free"])
NOBODY = 65534


@pytest.fixture
def free(monkeypatch):
    """`free(n)`: every file system says that n bytes are free."""
    return lambda count: monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: Usage(2**40, 0, count))


def needed(run):
    """The bytes that a training asks for on a disk that has none."""
    with pytest.raises(UserError, match="more bytes, 0 bytes are free: free some space, or set results_dir") as raised:
        recipe.train_fusion(run.step, run.files)
    said = str(raised.value)
    assert said.startswith(str(run.directory))
    assert "\n" not in said
    return int(re.search(r"needs (\d+) more bytes", said)[1])


@pytest.mark.parametrize(("hidden_dim", "most"), [(8, 1.6), (2048, 1.05)], ids=["mostly headers", "mostly weights"])
def test_the_estimate_is_what_the_training_writes_and_not_less(tiny, tmp_path, free, monkeypatch, hidden_dim, most):
    """Components of every stored epoch and of the best, and three states, against the files of a whole run."""
    free(0)
    run = tiny.prepare(tmp_path, files={"save_interval_s": 0.0}, epochs=4, save_every=2, hidden_dim=hidden_dim)
    asked = needed(run)
    assert not list(run.directory.rglob("*.safetensors"))
    assert not run.files.resume_dir.joinpath("running.json").exists()
    states, save = [], ResumeStore.save

    def saving(store, snapshot):
        save(store, snapshot)
        states.append(store.newest.stat().st_size)

    monkeypatch.setattr(ResumeStore, "save", saving)
    free(asked)
    recipe.train_fusion(run.step, run.files)
    written = sum(path.stat().st_size for path in run.directory.rglob("*.safetensors")) + 3 * max(states)
    assert written <= asked <= most * written

    again = tiny.prepare(tmp_path, epochs=4, save_every=2, hidden_dim=hidden_dim)
    free(0)
    assert needed(again) == asked - stored_bytes(run.directory), "what is stored already is not asked for again"


def test_one_byte_less_is_refused(tiny, tmp_path, free):
    free(0)
    run = tiny.prepare(tmp_path, epochs=1)
    asked = needed(run)
    free(asked - 1)
    with pytest.raises(UserError, match=f"needs {asked} more bytes, {asked - 1} bytes are free"):
        recipe.train_fusion(run.step, run.files)
    free(asked)
    recipe.train_fusion(run.step, run.files)


def test_directories_of_one_file_system_share_its_room(tmp_path, free):
    free(100)
    require_room("the work", {tmp_path / "a": 60, tmp_path / "b": 40, tmp_path / "c": -5})
    with pytest.raises(UserError, match=f"^{tmp_path}/a: the work needs 101 more bytes, 100 bytes are free"):
        require_room("the work", {tmp_path / "a": 60, tmp_path / "b": 41})


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_the_state_of_an_optimiser_is_known_before_it_steps(kind):
    parameter = torch.nn.Parameter(torch.zeros(50, 20))
    optimiser = make_optimiser(kind, [parameter], 0.0)
    before = optimiser_bytes(optimiser)
    parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    found = sum(tensor.nbytes for tensor in optimiser_tensors(optimiser).values() if tensor.dim())
    assert before == found > 0


def test_a_small_disk_is_refused_by_the_script(tiny, small_disk, start):
    """A real file system of a megabyte: one line and a status, before any epoch."""
    run = tiny.prepare(small_disk, epochs=500, save_every=1)
    process = start(step_command(run.step, run.files))
    said = process.communicate(timeout=180)[1]
    assert process.returncode == 2
    free_bytes = shutil.disk_usage(small_disk).free
    assert re.fullmatch(rf"\S+ error: {run.directory}: .* more bytes, {free_bytes} bytes are free: .*\n", said)
    assert not run.files.log_file.exists()


# ---- directories that cannot be written ----------------------------------------------------------


def test_a_file_in_the_place_of_a_directory(tiny, tmp_path):
    (tmp_path / "cell").write_text("not a directory")
    run = tiny.prepare(tmp_path)
    with pytest.raises(DiskError, match=rf"{tmp_path}/cell: cannot be written \(.*\): move the file .*results_dir"):
        recipe.train_fusion(run.step, run.files)
    assert not run.files.log_file.exists()


def test_a_directory_of_somebody_else(tmp_path):
    directory = tmp_path / "results"
    directory.mkdir(mode=0o555)
    as_root = os.geteuid() == 0
    if as_root:
        os.seteuid(NOBODY)
    try:
        with pytest.raises(DiskError, match=r"cannot be written \(Permission denied\).*make its directory writable"):
            require_writable([directory])
    finally:
        if as_root:
            os.seteuid(0)


def test_what_can_be_written_is_left_as_it_was(tmp_path):
    require_writable([tmp_path / "new" / "directory"])
    assert list((tmp_path / "new" / "directory").iterdir()) == []
