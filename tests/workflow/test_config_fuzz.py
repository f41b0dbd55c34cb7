"""Mutants of valid configurations: each is accepted and used, or refused in lines that name the mutated key."""

import copy
import json
import random
import re
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from config_judge import Reader, judge
from config_mutants import BASES, Mutant, Place, at, mutants_of, reprs
from hypothesis import Phase, given, settings
from pydantic import ConfigDict, create_model
from snakemake.utils import update_config

from certifuse.base.errors import UserError
from certifuse.study.reading.problems import read_settings
from certifuse.study.settings.evaluation import EvaluationSettings
from certifuse.study.settings.fusion import FusionSettings
from certifuse.study.steps.step import Step
from certifuse.study.steps.training import EvaluateBaselines, EvaluateFusion
from certifuse.study.study import Study, read_study

MUTANTS = 700
SLOWEST_S = 10.0


@pytest.fixture(scope="module")
def mutants() -> list[Mutant]:
    """The same ones in every run, each once."""
    found: dict[str, Mutant] = {}

    @settings(max_examples=MUTANTS, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(mutants_of())
    def collect(mutant: Mutant) -> None:
        found.setdefault(f"{mutant.base} {reprs(mutant.config)}", mutant)

    collect()
    return list(found.values())


def test_every_mutant_is_used_or_refused_by_its_path(mutants: list[Mutant], record_property: Any) -> None:
    verdicts: Counter[str] = Counter()
    faults = []
    for mutant in mutants:
        began = time.process_time()
        try:
            verdicts[judge(mutant)] += 1
        except Exception as error:
            faults.append(f"{type(error).__name__}: {str(error)[:400]} ({mutant})")
        if time.process_time() - began > SLOWEST_S:
            faults.append(f"took {time.process_time() - began:.0f} s ({mutant})")
    record_property("verdicts", dict(verdicts))
    assert not faults, f"{len(faults)} of {len(mutants)}\n" + "\n".join(faults)
    assert len(mutants) >= 500
    assert verdicts["refused"] > 200
    assert verdicts["used"] > 50
    assert {mutant.base for mutant in mutants} == set(BASES)


# ---- the judge can say no ------------------------------------------------------------------------


class IgnorantFusion(FusionSettings):
    model_config = ConfigDict(extra="ignore")


class IgnorantStudy(Study):
    model_config = ConfigDict(extra="ignore")


def forgetful(step: type[Step]) -> Any:
    """A step that has the section `evaluation` at its defaults, whatever the study says."""
    of = step.of

    def without(study: Study, names: Mapping[str, Any]) -> Step:
        return of(study.model_copy(update={"evaluation": EvaluationSettings()}), names)

    return staticmethod(without)


def reader_of(model: type[Study]) -> Reader:
    return lambda config: read_settings(model, config, "config")


def added(place: Place, value: Any) -> Mutant:
    config = copy.deepcopy(BASES["config"])
    at(config, place[:-1])[place[-1]] = value
    return Mutant("config", "add", (place,), config)


IGNORANT = create_model("IgnorantInside", __base__=Study, fusion=(IgnorantFusion, FusionSettings()))


@pytest.mark.parametrize(
    ("place", "model"), [(("jobs_per_gqu",), IgnorantStudy), (("fusion", "epoch"), IGNORANT)], ids=["top", "inside"]
)
def test_a_key_that_is_silently_ignored_is_noticed(place: Place, model: type[Study]) -> None:
    mutant = added(place, 2)
    assert judge(mutant) == "refused"
    with pytest.raises(AssertionError, match="is ignored"):
        judge(mutant, reader_of(model))


def test_a_key_that_no_step_gets_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge(added(("execution", "threads"), 1)) == "same"
    config = {**BASES["config"], "evaluation": {"batch_size": 7}}
    mutant = Mutant("config", "add", (("evaluation", "batch_size"),), config)
    assert judge(mutant) == "used"
    for step in (EvaluateFusion, EvaluateBaselines):
        monkeypatch.setattr(step, "of", forgetful(step))
    with pytest.raises(AssertionError, match="nothing sees it"):
        judge(mutant)


@pytest.mark.parametrize(
    "said", ["config: wrong", "config: splits.seed: expected a number, found 2", "config: fusion.epoch: no"]
)
def test_a_refusal_without_the_path_or_without_words_is_noticed(said: str) -> None:
    def refuse(config: Any) -> Study:
        raise UserError(said)

    with pytest.raises(AssertionError, match=re.escape(said)):
        judge(added(("fusion", "epoch"), 2), refuse)


def test_a_conversion_is_noticed() -> None:
    def read(config: Any) -> Study:
        return read_study({**config, "name": str(config["name"])})

    assert judge(added(("name",), 2026)) == "refused"
    with pytest.raises(AssertionError, match="name is read as '2026', not as 2026"):
        judge(added(("name",), 2026), read)


# ---- the same through Snakemake ------------------------------------------------------------------


def as_yaml(config: Any) -> str | None:
    """The configuration as a file; None where YAML has no way to write it, or cannot read it again."""
    try:
        text: str = yaml.safe_dump(config, sort_keys=False)
        return text if reprs(yaml.safe_load(text)) == reprs(config) else None
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def is_json(value: Any) -> bool:
    """Whether JSON can say it, as an override on the command line has to."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def refusal(config: Any, command_line: Any = None) -> list[str]:
    """What `read_study` says, line by line; nothing where it accepts."""
    try:
        read_study(config, command_line or {})
    except UserError as error:
        return str(error).splitlines()
    return []


def on_the_command_line(mutant: Mutant) -> tuple[str, list[str]]:
    """The section that a mutant changes as `--config` takes it, and what `read_study` says to what becomes of it."""
    section = mutant.places[0][0]
    override = f"{section}={json.dumps(mutant.config[section])}"
    # BaseLoader, as Snakemake has it: it makes nothing but texts, lists and mappings.
    texts = {section: yaml.BaseLoader(json.dumps(mutant.config[section])).get_single_data()}
    merged = copy.deepcopy(BASES[mutant.base])
    update_config(merged, texts)
    return override, refusal(merged, texts)


@pytest.mark.slow
def test_snakemake_says_the_same_and_nothing_else(sources: Any, mutants: list[Mutant], in_parallel: Any) -> None:
    """Two mutants that are accepted and planned, four that are refused, and two refused on the command line."""
    pick = random.Random(2026)
    written = [mutant for mutant in mutants if mutant.base == "config" and as_yaml(mutant.config)]
    refused = pick.sample([mutant for mutant in written if refusal(mutant.config)], 4)
    accepted = pick.sample([mutant for mutant in written if not refusal(mutant.config)], 2)
    expected: dict[str, list[str]] = {}
    calls: dict[str, tuple[str, ...]] = {}
    for number, mutant in enumerate([*refused, *accepted]):
        (sources.root / f"mutant_{number}.yaml").write_text(str(as_yaml(mutant.config)), encoding="utf-8")
        calls[str(mutant)] = ("-n", "--quiet", "--configfile", f"mutant_{number}.yaml")
        expected[str(mutant)] = refusal(mutant.config)
    sections = [(mutant, mutant.config.get(mutant.places[0][0])) for mutant in written if len(mutant.places[0]) > 1]
    inside = [mutant for mutant, section in sections if isinstance(section, dict) and is_json(section)]
    overrides = [(mutant, *on_the_command_line(mutant)) for mutant in inside]
    for mutant, override, lines in pick.sample([found for found in overrides if found[2]], 2):
        calls[f"{mutant} as {override}"] = ("-n", "--config", override)
        expected[f"{mutant} as {override}"] = lines
    assert len(calls) == 8
    for name, done in in_parallel(sources.snakemake, calls).items():
        said = done.result()
        assert said.returncode == bool(expected[name]), (name, said.stdout + said.stderr)
        assert not expected[name] or sources.said(said) == expected[name], name
        assert "Traceback" not in said.stdout + said.stderr
