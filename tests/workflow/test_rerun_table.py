"""Every key of the configuration: changed in a finished study, it brings exactly the jobs that are declared for it."""

import json
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml
from rerun_table import TABLE, Change, place
from setting_keys import setting_keys
from table_jobs import EVERYTHING
from table_studies import STUDIES
from tree_changes import set_at

from certifuse.base.records import Settings
from certifuse.study.study import Study, read_study

WARM = Path(__file__).resolve().parents[1] / "helpers" / "warm_snakemake.py"
BY_KEY = {change.key: change for change in TABLE}


def configuration(change: Change) -> Any:
    """The configuration of the study of a change, changed."""
    config = json.loads(json.dumps(STUDIES[change.study]))
    set_at(config, place(change.key), change.value)
    return config


def test_every_key_has_one_declaration_and_every_declaration_a_key() -> None:
    """Whoever adds a key, says what a change of it reruns: in tests/helpers/rerun_table.py."""
    assert sorted(BY_KEY) == sorted(set(setting_keys(Study)))
    assert len(BY_KEY) == len(TABLE)


def test_a_new_key_would_be_missed_at_any_depth() -> None:
    class Section(Settings):
        new: int = 0

    class Another(Study):
        deep: tuple[Section, ...] = ()
        named: dict[str, Section | None] = {}  # noqa: RUF012

    assert set(setting_keys(Another)) - set(BY_KEY) == {"deep.[].new", "named.[].new"}


@pytest.mark.parametrize("change", TABLE, ids=BY_KEY)
def test_every_change_is_one(change: Change) -> None:
    """It is accepted, and the study differs from the one before it."""
    assert read_study(configuration(change)) != read_study(STUDIES[change.study])


@pytest.fixture(scope="module")
def written(recorded: Any) -> dict[str, tuple[str, ...]]:
    """The arguments for each change, with its configuration in a file."""
    arguments = {}
    for number, change in enumerate(TABLE):
        file = f"changed_{number}.yaml"
        (recorded.root / file).write_text(yaml.safe_dump(configuration(change)), encoding="utf-8")
        arguments[change.key] = ("--configfile", file)
    return arguments | {name: ("--configfile", f"{name}.yaml") for name in STUDIES}


@pytest.fixture(scope="module")
def plans(recorded: Any, written: dict[str, tuple[str, ...]], parse: Any) -> dict[str, set[str]]:
    """What each change brings, all dry-runs from one warm process."""
    requests, answers = recorded.root / "requests.json", recorded.root / "answers.json"
    requests.write_text(json.dumps(list(written.values())), encoding="utf-8")
    done = recorded.run(sys.executable, str(WARM), str(requests), str(answers), timeout_s=3600)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(answers.read_text(encoding="utf-8"))
    return {key: set(parse(answer)) for key, answer in zip(written, map(_completed, found), strict=True)}


def _completed(answer: list[Any]) -> Any:
    return CompletedProcess("snakemake -n", answer[0], answer[1], "")


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_without_a_change_nothing_is_to_be_done(plans: dict[str, set[str]], name: str) -> None:
    assert plans[name] == set()


@pytest.mark.slow
@pytest.mark.parametrize("key", BY_KEY)
def test_a_key_reruns_what_is_declared(plans: dict[str, set[str]], key: str) -> None:
    assert plans[key] == BY_KEY[key].jobs


def test_the_table_knows_every_rule(sources: Any, count_jobs: Any) -> None:
    """No rule of the workflow is outside the studies of the table."""
    listed = set(sources.snakemake("--list-rules").stdout.split())
    assert {job.split()[0] for job in EVERYTHING} == listed


# ---- the long form ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cold_plans(recorded: Any, written: dict[str, tuple[str, ...]], in_parallel: Any) -> Any:
    """What each change brings, each dry-run by a Snakemake of its own."""
    return in_parallel(recorded.planned, written)


@pytest.mark.full
@pytest.mark.parametrize("key", BY_KEY)
def test_a_snakemake_of_its_own_says_the_same(cold_plans: Any, key: str) -> None:
    assert cold_plans[key].result() == BY_KEY[key].jobs
