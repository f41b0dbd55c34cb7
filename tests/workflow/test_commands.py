"""What the rules run, by their own word: the command of every job of a study in which every rule is."""

import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from table_studies import EMBEDDED, USER_FILES

from certifuse.steps.command import step_parser
from certifuse.study import tasks
from certifuse.study.steps.registry import STEPS
from certifuse.study.steps.training import TrainingFiles

TRAININGS = {rule for rule, step in STEPS.items() if issubclass(step.Files, TrainingFiles)}
DIRECTORIES_OF_RUNS = ("resume_dir", "telemetry_dir")
"""What no rule declares."""


def options_of(job: Any) -> dict[str, Any]:
    """The options of the command, as the script itself reads them."""
    words = shlex.split(job.command)
    script = next(at for at, word in enumerate(words) if word.endswith(".py"))
    assert words[-2:] == ["2>", job.log]
    return vars(step_parser(STEPS[job.rule]).parse_args(words[script + 1 : -2]))


def paths_in(options: dict[str, Any]) -> set[Path]:
    """All that is named by options."""
    values = [value for name, value in options.items() if name not in DIRECTORIES_OF_RUNS]
    return {path for value in values for path in (value if isinstance(value, list) else [value]) if _is_path(path)}


def _is_path(value: Any) -> bool:
    return isinstance(value, Path)


def jobs_of(graph: Any, rule: str) -> list[Any]:
    found = [job for job in graph if job.rule == rule]
    assert found, f"no job of {rule}"
    return found


def test_every_rule_has_a_step_and_every_step_a_rule(graph: Any) -> None:
    assert {job.rule for job in graph} == {*STEPS, "all"}


@pytest.mark.parametrize("rule", STEPS)
def test_a_rule_hands_its_script_the_settings_of_the_job(graph: Any, rule: str) -> None:
    for job in jobs_of(graph, rule):
        assert job.script == f"{rule}.py"
        options = options_of(job)
        step = STEPS[rule].from_json(options["settings"])
        assert step.text == options["settings"]
        assert {name: str(value) for name, value in step.identity().items()}.items() >= job.wildcards.items()
        assert re.fullmatch("[0-9a-f]{16}", options["source"])


CAPTIONS = Path("workflow", "report", "figures.rst")


@pytest.mark.parametrize("rule", STEPS)
def test_a_rule_declares_the_files_that_its_command_names(graph: Any, rule: str) -> None:
    """Inputs are named, or are in a directory that is; outputs may also be beside a file that is.

    Captions are a file of the workflow itself, whose digest is a parameter.
    """
    for job in jobs_of(graph, rule):
        named = paths_in(options_of(job))
        inputs, outputs = ({Path(path) for path in paths} for paths in (job.inputs, job.outputs))
        beside = named | {path.parent for path in named if path in outputs}
        assert [path for path in inputs if str(path) not in USER_FILES and not is_in(path, named)] == []
        assert [path for path in outputs if not is_in(path, beside)] == []
        used = {path for path in named if any(is_in(file, {path}) for file in inputs | outputs)}
        assert [path for path in named - used if path.parts[-3:] != CAPTIONS.parts] == []


def is_in(path: Path, places: set[Path]) -> bool:
    return not places.isdisjoint([path, *path.parents])


def test_no_two_jobs_share_a_log_a_file_or_the_state_of_a_run(graph: Any) -> None:
    own = Counter(path for job in graph for path in (*job.outputs, job.log, job.benchmark) if path)
    own.update(str(options_of(job)["resume_dir"]) for job in graph if job.rule in TRAININGS)
    assert [path for path, count in own.items() if count > 1] == []
    assert all(job.log for job in graph if job.rule != "all")


@pytest.mark.parametrize("task", [name for name in vars(tasks) if name.lower() in STEPS])
def test_logs_are_where_the_names_of_the_tasks_say(graph: Any, task: str) -> None:
    """What `certifuse status` looks for is what the rules write."""
    for job in jobs_of(graph, task.lower()):
        assert Path(job.log) == Path(
            EMBEDDED["results_dir"], "logs", getattr(tasks, task).format(**job.wildcards) + ".log"
        )


@pytest.mark.parametrize("rule", sorted(TRAININGS))
def test_a_training_is_timed_and_knows_how_long_it_may_run(graph: Any, rule: str) -> None:
    results = EMBEDDED["results_dir"]
    for job in jobs_of(graph, rule):
        options = options_of(job)
        assert job.benchmark
        assert options["time_budget_min"] == 720
        assert options["resume_dir"] == Path(results, ".resume", *Path(job.log).with_suffix("").parts[-2:])
        assert options["telemetry_dir"] == Path(results, "telemetry")


def test_where_every_program_is_and_what_it_finds_the_library_with(graph: Any, recorded: Any) -> None:
    for job in graph:
        if job.rule != "all":
            variables, _, script = job.command.partition(" --settings")[0].rpartition("python ")
            assert script == str(recorded.root / "workflow" / "scripts" / f"{job.rule}.py")
            assert f"PYTHONPATH={recorded.root / 'lib'}" in variables
