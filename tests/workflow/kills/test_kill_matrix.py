"""A study killed at random points of every kind of step ends as if nothing had been: SHA-256 of all results.

Real processes, started by Snakemake, end by SIGKILL, some together with Snakemake; then the same command is given
again. The points are drawn by SEED. CI kills at a few of them, `make test-full` at all: its summary goes to the file
that CERTIFUSE_KILL_SUMMARY names.
"""

import csv
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certifuse.data.corpus import load_corpus
from certifuse.manifests import read_manifest

SEED = 20261126
SUMMARY = "CERTIFUSE_KILL_SUMMARY"
OPENED, HALF, WHOLE, RENAMED, TIME = "opened", "half", "whole", "renamed", "time"
STEP, CLOCK_S = "ParameterGroup.after_backward", 12.0


@dataclass(frozen=True)
class Victim:
    """A step with the moments to kill it at, each with how often it comes at least; a `*` kills everybody."""

    script: str
    argument: str
    moments: dict[str, float]
    resume: str | None = None


CELL = "resnet_concatenation_lambda_1.0_seed_0"
VICTIMS = (
    Victim("prepare_corpus", "results/data/corpus", {WHOLE: 5}),
    Victim("split_images", "results/splits/splits.safetensors", {HALF: 2}),
    Victim(
        *("pretrain_expert", "expert_0", {STEP: 90, HALF: 14, RENAMED: 18, TIME: CLOCK_S}),
        resume="pretrain_expert/resnet_seed_0_expert_0",
    ),
    Victim("pretrain_expert", "expert_1", {f"{STEP}*": 90, OPENED: 14}, "pretrain_expert/resnet_seed_0_expert_1"),
    Victim(
        *("train_fusion", "1.0", {STEP: 170, HALF: 33, WHOLE: 33, RENAMED: 37, TIME: CLOCK_S}),
        resume=f"train_fusion/{CELL}",
    ),
    Victim(
        *("certify_subspace", "1.0", {STEP: 65, OPENED: 20, HALF: 20, TIME: CLOCK_S, "write_certificate": 1}),
        resume=f"certify_subspace/{CELL}_d_4",
    ),
    Victim(
        *("train_sublora", "learned", {STEP: 140, HALF: 24, f"{RENAMED}*": 30, TIME: CLOCK_S}),
        resume="train_sublora/d_32_learned_seed_0",
    ),
    Victim("evaluate_fusion", "1.0", {"outputs": 5, HALF: 4}),
    Victim("certify_joint", "1.0", {"outputs": 10, WHOLE: 2}),
    Victim("certify_sublora", "learned", {HALF: 4, TIME: CLOCK_S}),
    Victim("gather", "results", {HALF: 5}),
    Victim("gather_certificates", "results", {RENAMED: 3}),
    Victim("draw_figure", "lambda_ablation", {"Figure.draw*": 2, HALF: 2}),
    Victim("draw_certificate_figure", "certified_vs_dimension", {HALF: 1}),
    Victim("draw_sublora_figure", "learned_gating_heatmap", {"Figure.draw": 2}),
    Victim("write_tables", "results/tables", {WHOLE: 5}),
)


def drawn(new_strike: Any, victims: Sequence[Victim], draws: random.Random) -> list[Any]:
    """A strike for every moment of every victim, at a random one of the times that it comes.

    A training goes on where it was killed. So that there is always enough of it left for the strikes behind, each comes
    within its share of the whole.
    """
    strikes = []
    for victim in victims:
        shares = len(victim.moments) if victim.resume else 1
        for moment, times in victim.moments.items():
            latest = max(1, int(times) // shares)
            number = draws.uniform(0.0, times) if moment == TIME else draws.randint(1, latest)
            name, everybody = moment.removesuffix("*"), moment.endswith("*")
            strikes.append(new_strike(victim.script, victim.argument, name, number, everybody, victim.resume))
    return strikes


def of_everything(new_strike: Any) -> list[Any]:
    return drawn(new_strike, VICTIMS, random.Random(SEED))


IN_CI = {"prepare_corpus", "certify_sublora", "evaluate_fusion", "gather", "draw_figure"}


def in_ci(new_strike: Any) -> list[Any]:
    """One strike for each training and some other steps, in the order of the full list."""
    draws, strikes = random.Random(SEED), of_everything(new_strike)
    steps: dict[str, list[Any]] = {}
    for strike in strikes:
        if strike.resume or strike.script in IN_CI:
            steps.setdefault(strike.resume or strike.script, []).append(strike)
    return sorted(map(draws.choice, steps.values()), key=strikes.index)


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
    few: Any, undisturbed: Any, killed: Any, digest_results: Any, new_strike: Any
) -> None:
    strikes = in_ci(new_strike)
    expected, study = digest_results(undisturbed(few)), killed(few, strikes)
    assert len(study.struck) == len(strikes) >= 8
    assert_survived(study, expected, digest_results(study.results))


@pytest.mark.full
def test_a_study_that_is_killed_everywhere_ends_as_one_that_is_not(
    all_of_it: Any, undisturbed: Any, killed: Any, digest_results: Any, new_strike: Any
) -> None:
    expected, study = digest_results(undisturbed(all_of_it)), killed(all_of_it, of_everything(new_strike))
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
