"""Leases on GPUs: one process each, freed by the death of its holder, silent where somebody assigned."""

import signal
import subprocess
import sys

import pytest

from certifuse.training.lease import take_gpu

HOLD = """
import pathlib, sys, time
from certifuse.training import lease
lease.WAIT_S = 0.05
print(lease.take_gpu(int(sys.argv[2]), pathlib.Path(sys.argv[1])), flush=True)
time.sleep(60)
"""


@pytest.fixture
def hold(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    processes = []

    def start(count=2):
        command = [sys.executable, "-c", HOLD, str(tmp_path), str(count)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_each_process_has_its_own_gpu_and_a_killed_one_frees_it(hold):
    first, second = hold(), hold()
    taken = {int(first.stdout.readline()), int(second.stdout.readline())}
    assert taken == {0, 1}
    third = hold()
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(0.5)
    first.send_signal(signal.SIGKILL)
    assert int(third.stdout.readline()) in taken


def test_an_assigned_gpu_is_taken_without_a_lease(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert [take_gpu(1, tmp_path), take_gpu(1, tmp_path)] == [0, 0]
    assert list(tmp_path.iterdir()) == []
