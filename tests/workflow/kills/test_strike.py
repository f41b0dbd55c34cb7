"""Strikes hit the moment that they name: seen on a program that writes three files and nothing else."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LIBRARY = HERE.parents[2] / "lib"
WRITER = """
import sys
from pathlib import Path
from certifuse.base.files import write_text

def write(number):
    write_text(Path(sys.argv[1]) / f"{number}.txt", "x" * 1000)

for number in (1, 2, 3):
    write(number)
"""


@pytest.fixture
def run(tmp_path):
    """`run()` runs the program: its status. `run.strike(...)` lays a strike for it; `run.files()` is what it left."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "strikes").mkdir()
    (tmp_path / "out").mkdir()
    shutil.copy2(HERE / "strike.py", tmp_path / "lib" / "sitecustomize.py")
    (tmp_path / "writer.py").write_text(WRITER, encoding="utf-8")
    path = f"{tmp_path / 'lib'}{os.pathsep}{LIBRARY}"
    environment = os.environ | {"PYTHONPATH": path, "STRIKES": str(tmp_path / "strikes")}

    def once():
        command = [sys.executable, str(tmp_path / "writer.py"), str(tmp_path / "out")]
        return subprocess.run(command, env=environment, start_new_session=True).returncode

    def strike(moment, number, script="writer", argument=str(tmp_path / "out"), everybody=False):
        named = {"script": script, "argument": argument, "moment": moment, "number": number, "everybody": everybody}
        (tmp_path / "strikes" / "000.json").write_text(json.dumps(named), encoding="utf-8")

    once.strike = strike
    once.files = lambda: {
        path.name if not path.name.startswith(".") else "half written": path.stat().st_size
        for path in (tmp_path / "out").iterdir()
    }
    once.has_struck = lambda: (tmp_path / "strikes" / "000.struck").exists()
    return once


WHOLE_FILES = {"1.txt": 1000, "2.txt": 1000, "3.txt": 1000}


@pytest.mark.parametrize(
    ("moment", "number", "left"),
    [
        ("opened", 2, {"1.txt": 1000, "half written": 0}),
        ("half", 2, {"1.txt": 1000, "half written": 500}),
        ("whole", 3, {"1.txt": 1000, "2.txt": 1000, "half written": 1000}),
        ("renamed", 2, {"1.txt": 1000, "2.txt": 1000}),
        ("write", 1, {}),
        ("write", 3, {"1.txt": 1000, "2.txt": 1000}),
    ],
)
@pytest.mark.parametrize("everybody", [False, True])
def test_a_strike_hits_its_moment_once(run, moment, number, left, everybody):
    run.strike(moment, number, everybody=everybody)
    assert run() == -signal.SIGKILL
    assert run.files() == left
    assert run.has_struck()
    assert run() == 0
    assert run.files() == WHOLE_FILES


def test_a_strike_by_the_clock_hits_somewhere(run):
    run.strike("time", 0.1)
    assert run() == -signal.SIGKILL
    assert run.has_struck()
    assert run() == 0
    assert run.files() == WHOLE_FILES


@pytest.mark.parametrize("other", [{"script": "reader"}, {"argument": "elsewhere"}, {"number": 4}])
def test_a_strike_that_is_not_meant_for_a_process_does_nothing(run, other):
    run.strike(**{"moment": "half", "number": 2} | other)
    assert run() == 0
    assert run.files() == WHOLE_FILES
    assert not run.has_struck()
