"""Each point of the kill matrix is of one job of its study, and its short form has every training."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from job_graph import graph_of
from kill_points import VICTIMS, in_ci, of_everything

STUDY = Path(__file__).parent / "study.yaml"


@pytest.fixture(scope="module")
def commands(sources: Any) -> list[tuple[str, list[str]]]:
    """Script and words of every command of the study."""
    planned = sources.snakemake("-n", "-p", "--configfile", str(STUDY))
    assert planned.returncode == 0, planned.stdout + planned.stderr
    return [(job.rule, shlex.split(job.command)) for job in graph_of(planned.stdout) if job.script]


@pytest.mark.parametrize("victim", VICTIMS, ids=lambda victim: f"{victim.script} {victim.argument}")
def test_a_victim_is_one_job_with_the_state_that_is_counted(commands: list[tuple[str, list[str]]], victim: Any) -> None:
    found = [
        words for rule, words in commands if rule == victim.script and any(victim.argument in word for word in words)
    ]
    assert len(found) == 1
    if victim.resume is not None:
        assert f"results/.resume/{victim.resume}" in found[0]


def test_the_short_form_kills_every_training_once() -> None:
    trainings = {victim.resume for victim in VICTIMS if victim.resume}
    assert [strike.resume for strike in in_ci() if strike.resume] == [
        victim.resume for victim in VICTIMS if victim.resume
    ]
    assert trainings == {strike.resume for strike in of_everything() if strike.resume}
