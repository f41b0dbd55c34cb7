"""Steps of the workflow as processes: the command line of a script, from the settings and the files of its step."""

import dataclasses
import sys
from pathlib import Path

from certifuse.study.steps.step import Step, StepFiles

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"


def step_arguments(step: Step, files: StepFiles) -> list[str]:
    """The script of a step and its options, for whatever starts it."""
    words = [str(SCRIPTS / f"{step.rule}.py"), "--settings", step.text]
    for field in dataclasses.fields(files):
        value = getattr(files, field.name)
        if field.metadata.get("option", True) and value is not None:
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{field.name.replace('_', '-')}", *map(str, values)]
    return words


def step_command(step: Step, files: StepFiles) -> list[str]:
    """The same with the interpreter of the tests."""
    return [sys.executable, *step_arguments(step, files)]
