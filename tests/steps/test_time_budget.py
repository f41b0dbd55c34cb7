"""Every training program stops in time, says so in one line, and goes on to the same bits in the next attempt."""

import json
import re
import subprocess
from dataclasses import replace

import pytest
from language_study import KINDS
from step_commands import step_command

from certifuse.base.errors import OUT_OF_TIME_STATUS, USER_ERROR_STATUS, OutOfTimeError
from certifuse.training.loop import budget as budgets
from certifuse.training.loop import loop


class Clock:
    """Goes on by ten seconds whenever a log is written, which is after every epoch."""

    now_s = 0.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    made, write = Clock(), loop.write_rows

    def slow(path, rows):
        made.now_s += 10.0
        write(path, rows)

    monkeypatch.setattr(loop, "write_rows", slow)
    monkeypatch.setattr(budgets, "time", made)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_attempts_that_run_out_of_time_end_as_one_that_does_not(begin, uninterrupted, tmp_path, clock, kind):
    """Each attempt has 27 s of 30, which is room for two epochs of ten."""
    training, expected = begin(kind, tmp_path), uninterrupted(kind).ends
    said = []
    while len(said) < 20:
        try:
            training.train(save_interval_s=1e9, time_budget_min=0.5, began_s=clock.now_s)
            break
        except OutOfTimeError as error:
            said.append(str(error))
            assert list(training.resume.rglob("*.safetensors")), "the state is stored"
    assert said
    assert all(
        re.search(r": stopped after (epoch|stretch) \d of \d and stored, before the limit", line) for line in said
    )
    assert training.ends == expected


def test_with_time_enough_nothing_is_interrupted(begin, uninterrupted, tmp_path, clock):
    """The control: it is the limit that stops a training."""
    training = begin("fusion", tmp_path).train(time_budget_min=600.0, began_s=clock.now_s)
    assert training.ends == uninterrupted("fusion").ends
    assert json.loads((tmp_path / "cell" / "manifest.json").read_text())["resumed_after_epochs"] == []


# ---- real processes, real time -----------------------------------------------------------------------


def run_script(run, time_budget_min):
    command = step_command(run.step, replace(run.files, time_budget_min=time_budget_min))
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_a_process_stops_in_time_and_the_next_goes_on(tiny, tmp_path):
    """What the first attempt says it needed to start tells how long the others get."""
    run = tiny.prepare(tmp_path, files={"save_interval_s": 1e9}, epochs=100_000)
    hopeless = run_script(run, 0.0001)
    assert hopeless.returncode == USER_ERROR_STATUS, hopeless.stderr
    (line,) = hopeless.stderr.splitlines()
    start_s = float(
        re.search(r"error: .* expected an epoch to end within .*: ([\d.]+) s were needed to start", line)[1]
    )
    assert not list(run.files.resume_dir.glob("*.safetensors"))

    budget_min = (3.0 * start_s + 3.0) / 60
    first = run_script(run, budget_min)
    assert first.returncode == OUT_OF_TIME_STATUS, first.stderr
    epochs = int(re.search(r"out of time: .*: stopped after epoch (\d+) of 100000 and stored", first.stderr)[1])
    assert epochs >= 1
    assert "Traceback" not in first.stderr

    second = run_script(run, budget_min)
    assert second.returncode == OUT_OF_TIME_STATUS, second.stderr
    assert f"] resumed after epoch {epochs}\n" in second.stderr
    further = int(re.search(r"stopped after epoch (\d+) of", second.stderr)[1])
    assert further > epochs
