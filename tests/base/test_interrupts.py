"""Ctrl-C in a program of this library: no traceback, and the status of an interrupted process."""

import signal
import subprocess
import sys

import pytest

PROGRAMS = {"certifuse.cli.main": "", "certifuse.steps.command": "interrupted\n"}
"""What the program's first import is, and what the user reads."""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", PROGRAMS)
def test_an_interrupt_leaves_no_traceback(module: str) -> None:
    """Outside every `try`, as while something heavy is imported."""
    done = run(f"import {module}; raise KeyboardInterrupt")
    assert (done.returncode, done.stderr) == (-signal.SIGINT, PROGRAMS[module])


def test_a_fault_of_the_program_still_does() -> None:
    done = run("import certifuse.cli.main; raise RuntimeError('a fault')")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "RuntimeError: a fault")
    assert done.stderr.startswith("Traceback")
