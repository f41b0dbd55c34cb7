"""Stored states: intact, damaged in any byte, of another run, and held by another process."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from certifuse.base.errors import UserError
from certifuse.base.machine import DiskError
from certifuse.training.loop.resume import ResumeStore, Snapshot

HOLD = """
import sys, time
from pathlib import Path
from certifuse.training.loop.resume import ResumeStore
store = ResumeStore(Path(sys.argv[1]), "same")
store.note_running("run", 5)
print("held", flush=True)
time.sleep(60)
"""


def snapshot(number, epochs=1):
    tensors = {
        "state/weight": torch.full((2, 3), float(number)).to(memory_format=torch.preserve_format),
        "state/kernel": torch.arange(24.0).reshape(2, 3, 2, 2).to(memory_format=torch.channels_last),
        "state/count": torch.tensor(number),
        "best/weight": torch.zeros(0),
    }
    return Snapshot(tensors, {"rows": [{"epoch": epoch, "loss": 0.1} for epoch in range(epochs)], "best_epoch": 1})


def same(found, expected):
    return found.progress == expected.progress and all(
        torch.equal(found.tensors[name], tensor) for name, tensor in expected.tensors.items()
    )


@pytest.fixture
def store(tmp_path):
    return ResumeStore(tmp_path / "resume", "same")


def test_what_is_saved_is_loaded(store):
    assert store.load() is None
    store.save(snapshot(1))
    assert same(store.load(), snapshot(1))
    store.save(snapshot(2, epochs=3))
    assert same(store.load(), snapshot(2, epochs=3))


def test_a_damaged_newest_state_gives_way_to_the_previous_one(store, caplog):
    store.save(snapshot(1))
    store.save(snapshot(2))
    data = store.newest.read_bytes()
    store.newest.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert same(store.load(), snapshot(1))
    assert f"{store.newest}: damaged (the bytes of 'state/weight' differ from their digest); looking" in caplog.text


def test_a_damaged_state_never_takes_the_place_of_an_intact_one(store):
    """After a load that fell back, the next save keeps the state that was loaded, not the damaged one."""
    store.save(snapshot(1))
    store.save(snapshot(2))
    store.newest.write_bytes(b"damaged")
    store.load()
    store.save(snapshot(3))
    assert same(store.load(), snapshot(3))
    store.newest.write_bytes(b"damaged again")
    assert same(store.load(), snapshot(1))


def test_when_both_are_damaged_the_run_starts_afresh(store, caplog):
    store.save(snapshot(1))
    store.save(snapshot(2))
    for path in (store.newest, store.previous):
        path.write_bytes(b"damaged")
    assert store.load() is None
    assert caplog.text.count("damaged") >= 2


def test_every_truncation_and_every_flipped_bit_is_noticed(store):
    store.save(snapshot(1))
    whole = store.newest.read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 64)):
        store.newest.write_bytes(whole[:size])
        assert store.load() is None, f"cut to {size} of {len(whole)} bytes"
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        store.newest.write_bytes(bytes(damaged))
        found = store.load()
        assert found is None or same(found, snapshot(1)), f"byte {position}"  # a space in the header means nothing
    store.newest.write_bytes(whole)
    assert same(store.load(), snapshot(1))


def test_a_file_of_another_program_is_ignored(store, caplog):
    store.directory.mkdir()
    save_file({"weight": torch.zeros(1)}, store.newest)
    assert store.load() is None
    assert "damaged" in caplog.text


def test_the_state_of_another_fingerprint_is_not_seen(store):
    store.save(snapshot(1))
    assert ResumeStore(store.directory, "other").load() is None


def test_an_interrupted_save_leaves_the_last_state(store, monkeypatch):
    store.save(snapshot(1))

    def no_space(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("certifuse.base.tensors.save_file", no_space)
    with pytest.raises(DiskError, match="No space left"):
        store.save(snapshot(2))
    assert same(store.load(), snapshot(1))


def test_a_finished_run_leaves_nothing(store):
    store.note_running("run", 5)
    store.save(snapshot(1))
    store.save(snapshot(2))
    store.remove()
    assert not store.directory.exists()


def test_a_starting_run_drops_the_states_of_other_settings(store):
    other = ResumeStore(store.directory, "other")
    other.save(snapshot(1))
    store.save(snapshot(2))
    store.note_running("run", 5)
    assert not other.newest.exists()
    assert store.load() is not None
    store.remove()
    assert not store.directory.exists()


def test_who_runs_is_noted(store):
    store.note_running("run", 5)
    note = json.loads(store.runner.read_text())
    assert note.pop("started_unix_s") > 1.7e9
    assert note == {"run": "run", "epochs": 5, "pid": os.getpid(), "host": socket.gethostname()}
    store.note_running("run", 5)  # the same process may come again


def test_a_second_runner_stops_at_once_and_names_the_first(store):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store.directory)], stdout=subprocess.PIPE, text=True
    ) as first:
        try:
            assert first.stdout.readline() == "held\n"
            note = store.runner.read_text()
            with pytest.raises(UserError, match=rf"process {first.pid} on {socket.gethostname()} is already training"):
                store.note_running("run", 5)
            assert store.runner.read_text() == note
        finally:
            first.kill()
    store.note_running("run", 5)  # the lock of a killed process is gone, although its note is still there


def test_a_stale_note_with_the_number_of_a_living_process_stops_nobody(store):
    """Numbers of processes are used again, in containers at once."""
    store.directory.mkdir()
    stale = {"run": "run", "epochs": 5, "pid": os.getppid(), "host": socket.gethostname()}
    store.runner.write_text(json.dumps(stale))
    store.note_running("run", 5)


def test_a_file_system_without_locks_is_said(store, monkeypatch, caplog):
    def unsupported(*arguments):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.lockf", unsupported)
    store.note_running("run", 5)
    assert "a second run of run would go unnoticed" in caplog.text
