"""A study killed at random points of every kind of step ends as if nothing had been: SHA-256 of all results.

Real processes, started by Snakemake, end by SIGKILL, some together with Snakemake; then the same command is given
again. The points: `kill_points`. CI kills at a few of them, `make test-full` at all: its summary goes to the file
that CERTIFUSE_KILL_SUMMARY names.
"""

import csv
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from kill_points import TIME, in_ci, of_everything

from certifuse.base.manifest import read_manifest
from certifuse.data.text.corpus import load_corpus

SUMMARY = "CERTIFUSE_KILL_SUMMARY"


def assert_survived(study: Any, expected: dict[str, str], found: dict[str, str]) -> None:
    assert found.keys() == expected.keys(), set(found) ^ set(expected)
    assert {name: digest for name, digest in found.items() if digest != expected[name]} == {}
    corpus = study.results / "data/corpus"
    assert load_corpus(corpus)  # whose manifest has seals of its own
    for path in set(study.results.rglob("*manifest.json")) - {corpus / "manifest.json"}:
        assert read_manifest(path), path
    assert not [path for path in (study.results / ".resume").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_a_study_that_is_killed_here_and_there_ends_as_one_that_is_not(
    few: Any, undisturbed: Any, killed: Any, digest_results: Any
) -> None:
    strikes = in_ci()
    expected, study = digest_results(undisturbed(few)), killed(few, strikes)
    assert len(study.struck) == len(strikes) >= 8
    assert_survived(study, expected, digest_results(study.results))


@pytest.mark.full
def test_a_study_that_is_killed_everywhere_ends_as_one_that_is_not(
    all_of_it: Any, undisturbed: Any, killed: Any, digest_results: Any
) -> None:
    expected, study = digest_results(undisturbed(all_of_it)), killed(all_of_it, of_everything())
    found = digest_results(study.results)
    if SUMMARY in os.environ:
        write_summary(Path(os.environ[SUMMARY]), study, found == expected)
    assert len(study.struck) >= 20
    assert_survived(study, expected, found)


def write_summary(path: Path, study: Any, equal: bool) -> None:
    """One row a kill, in the order of the study's steps."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["step", "of", "moment", "number", "killed", "epochs_not_repeated", "results_equal"])
        for _, struck in sorted(study.struck.items()):
            strike = struck.strike
            number = f"{strike.number:.1f} s" if strike.moment == TIME else strike.number
            who = "Snakemake and all steps" if strike.everybody else "the step"
            table.writerow([strike.script, strike.argument, strike.moment, number, who, struck.stored_epochs, equal])


# ---- controls: what the comparison sees --------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["*.safetensors", "*.cfqv", "*.png", "*.pdf", "*.csv", "*.json", "*.bin"])
def test_one_byte_of_any_kind_of_file_is_noticed(
    few: Any, undisturbed: Any, digest_results: Any, tmp_path: Path, pattern: str
) -> None:
    results = tmp_path / "results"
    shutil.copytree(undisturbed(few), results)
    before = digest_results(results)
    assert before == digest_results(undisturbed(few))
    path = min(each for each in results.rglob(pattern) if each.stat().st_size)
    data = bytearray(path.read_bytes())
    place = next(at for at in range(len(data) // 2, len(data)) if chr(data[at]).isdigit() or path.suffix != ".json")
    data[place] ^= 1
    path.write_bytes(bytes(data))
    assert digest_results(results) != before


@pytest.mark.slow
def test_a_file_that_was_left_half_written_is_noticed(
    few: Any, undisturbed: Any, digest_results: Any, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    shutil.copytree(undisturbed(few), results)
    (results / "metrics" / ".summary.csv.abcdefgh").touch()
    assert digest_results(results) != digest_results(undisturbed(few))
