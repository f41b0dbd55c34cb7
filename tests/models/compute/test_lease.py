"""Leases on GPUs: one process each, freed by the death of its holder, silent where somebody assigned."""

import itertools
import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import certifuse
from certifuse.models.compute.lease import PER_GPU, take_gpu

# Takes a GPU, says which and since when, and holds it until it is told to end or is killed. The clock is the machine's.
HOLD = """
import pathlib, sys, time
from certifuse.models.compute import lease
lease.WAIT_S = 0.02
print(lease.take_gpu(int(sys.argv[2]), pathlib.Path(sys.argv[1])), time.monotonic_ns(), flush=True)
sys.stdin.readline()
print(time.monotonic_ns(), flush=True)
"""
SHORTLY_S = 0.5
SOON_S = 30.0


class Job:
    """A process that asks for a GPU."""

    def __init__(self, directory, gpus):
        command = [sys.executable, "-c", HOLD, str(directory), str(gpus)]
        environment = os.environ | {"PYTHONPATH": str(Path(certifuse.__file__).parents[1])}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, **pipes, env=environment, text=True, bufsize=1)
        self.gpu = self.since_ns = self.until_ns = None

    def has_gpu(self, timeout_s):
        """Whether the job says within this time that it has one."""
        if self.gpu is None and select.select([self.process.stdout], [], [], timeout_s)[0]:
            self.gpu, self.since_ns = map(int, self.process.stdout.readline().split())
        return self.gpu is not None

    def end(self):
        self.until_ns = int(self.process.communicate("end\n", timeout=SOON_S)[0])

    def kill(self):
        self.until_ns = time.monotonic_ns()  # the lease cannot be free before
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def start(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    jobs = []

    def new(gpus):
        jobs.append(Job(tmp_path, gpus))
        return jobs[-1]

    yield new
    for job in jobs:
        job.process.kill()
        job.process.communicate()


def test_a_killed_job_of_four_hands_its_gpu_to_one_that_waits(start):
    holders = [start(gpus=2) for _ in range(2)]
    assert all(job.has_gpu(SOON_S) for job in holders)
    assert {job.gpu for job in holders} == {0, 1}
    waiting = [start(gpus=2) for _ in range(2)]
    assert not any(job.has_gpu(SHORTLY_S) for job in waiting)
    holders[0].kill()
    deadline = time.monotonic() + SOON_S
    while not any(job.has_gpu(SHORTLY_S) for job in waiting):
        assert time.monotonic() < deadline
    heir, other = sorted(waiting, key=lambda job: job.gpu is None)
    assert heir.gpu == holders[0].gpu
    assert not other.has_gpu(SHORTLY_S)
    holders[1].end()
    assert other.has_gpu(SOON_S)
    assert other.gpu == holders[1].gpu


def test_no_gpu_ever_has_two_holders(start):
    """Twelve jobs on three GPUs, each as long as it likes, four of them killed: the times on one GPU do not overlap."""
    draw = random.Random(0)
    jobs = [start(gpus=3) for _ in range(12)]
    fates = [Job.kill] * 4 + [Job.end] * 8
    draw.shuffle(fates)
    deadline = time.monotonic() + SOON_S
    while any(job.until_ns is None for job in jobs):
        assert time.monotonic() < deadline
        running = [job for job in jobs if job.until_ns is None and job.has_gpu(0.01)]
        assert len(running) <= 3
        if running and draw.random() < 0.5:
            fates.pop()(draw.choice(running))
    for gpu in range(3):
        held = sorted((job.since_ns, job.until_ns) for job in jobs if job.gpu == gpu)
        assert all(until <= since for (_, until), (since, _) in itertools.pairwise(held))


def test_two_per_gpu_fill_every_gpu_before_they_share(start, monkeypatch):
    monkeypatch.setenv(PER_GPU, "2")
    holders = []
    for expected in (0, 1, 0, 1):
        holders.append(start(gpus=2))
        assert holders[-1].has_gpu(SOON_S)
        assert holders[-1].gpu == expected
    fifth = start(gpus=2)
    assert not fifth.has_gpu(SHORTLY_S)
    holders[1].kill()
    assert fifth.has_gpu(SOON_S)
    assert fifth.gpu == 1


def test_an_assigned_gpu_is_taken_without_a_lease(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert [take_gpu(1, tmp_path), take_gpu(1, tmp_path)] == [0, 0]
    assert list(tmp_path.iterdir()) == []
