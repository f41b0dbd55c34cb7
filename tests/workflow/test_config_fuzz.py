"""Mutants of valid configurations: each is accepted and used, or refused in lines that name the mutated key."""

import copy
import datetime
import json
import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict, create_model
from snakemake.utils import update_config

from certifuse.errors import UserError
from certifuse.layout import WIDER
from certifuse.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.settings.augmentation import AUGMENTATIONS
from certifuse.settings.evaluation import EvaluationSettings
from certifuse.settings.figures import CERTIFICATE_FIGURES, FIGURES, SUBLORA_FIGURES
from certifuse.settings.fusion import ATTENTION, ATTENTION_RULE, FUSION_ONLY, FUSIONS, GUIDE_DEFAULTS, FusionSettings
from certifuse.settings.plain_values import dotted
from certifuse.settings.problems import read_settings
from certifuse.settings.sublora import NULLS, PLAIN_MODES
from certifuse.study import Study, read_study

Place = tuple[Any, ...]
Reader = Callable[[Any], Study]

MUTANTS = 700
SLOWEST_S = 10.0
CONFIG = Path(__file__).resolve().parents[2] / "config"
TINY = {
    "name": "tiny",
    "data": {"source": "npz", "path": "images.npz"},
    "grid": [{"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["1.0"], "seeds": [0]}],
    "fusion": {"epochs": 1, "per_fusion": {"TransformerBase": {"epochs": 2, "augmentation": "none"}}},
    "pretraining": {"per_architecture": {"resnet": {"lr": 0.3}}},
    "sublora": {
        "corpus": {"source": "jsonl", "train": ["a.jsonl", "b.jsonl.gz"]},
        "model": {"size": "gpt2_small", "lora": {"rank": 1}},
        "grid": [{"budgets": [64], "modes": ["learned", "fixed_0.2"], "seeds": [0]}],
    },
}
BASES = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(CONFIG.glob("*.yaml"))}
BASES["tiny"] = TINY


# ---- mutants -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """A changed copy of a valid configuration, and the places that were changed."""

    base: str
    what: str
    places: tuple[Place, ...]
    config: Any

    def __str__(self) -> str:
        return f"{self.base}: {self.what} {' and '.join(map(dotted, self.places))}"


def places_in(value: Any, path: Place = ()) -> Iterator[Place]:
    """The path of every key and item, at every depth."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places_in(item, (*path, key))


def at(config: Any, place: Place) -> Any:
    for part in place:
        config = config[part]
    return config


def nested(depth: int, value: Any) -> Any:
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, 2, 3, 0.5, 10**400, 10**5000, -(10**30), math.nan, math.inf, -math.inf, 1e308, 5e-324]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["", "1e-4", "1e999", "nan", "0.5", "null", "resnet", "{x}", "{seed:>9999999999}", "../..", "a\0b"]
    ),
    st.sampled_from(["é\u2028", "\ud800", "x" * 5000, datetime.date(2026, 1, 1), b"bytes", {1, 2}]),
    st.sampled_from([[], {}, [[]], [None], [1, 1], {"digits": {}}, {"source": "npz"}, {"source": []}, {"": 1}]),
    st.builds(nested, st.sampled_from([1, 3, 30, 3000]), st.integers(0, 2)),
)
KEYS = st.one_of(
    st.text(max_size=6), st.sampled_from(["npz", "[key]", "0", "epochs", "source", 1, None, 0.5, (1, 2), 10**5000])
)


@st.composite
def like(draw: st.DrawFn, value: Any) -> Any:
    """A value that was made from the valid one: another number, its text, its list, its parts in another order."""
    made = [str(value), [value], {"value": value}, [value, value]]
    if isinstance(value, bool):
        made += [not value, int(value)]
    elif isinstance(value, int | float):
        made += [value + 1, value * 2, value / 2, -value, float(value), value * 10**12]
    elif isinstance(value, str):
        made += [value.upper(), f"{value} ", value[:-1], value * 2]
    elif isinstance(value, list):
        made += [value[::-1], value[:1], value + value, dict(enumerate(value)), value[1:]]
    return draw(st.sampled_from(made))


@st.composite
def misspelt(draw: st.DrawFn, key: Any) -> Any:
    position = draw(st.integers(0, max(0, len(str(key)) - 1)))
    text = str(key)
    return draw(st.sampled_from([text[:position] + text[position + 1 :], text + "s", text.upper(), f"{text} "]))


@st.composite
def overrides(draw: st.DrawFn) -> tuple[Place, Any]:
    """A key of a section among the overrides of one rule or architecture."""
    section, per, names = draw(
        st.sampled_from(
            [("fusion", "per_fusion", FUSIONS), ("pretraining", "per_architecture", tuple(ARCHITECTURE_SETTINGS))]
        )
    )
    key = draw(st.sampled_from(["epochs", "lr", "expert_lr", "augmentation", "clip_norm", "label_smoothing", "epoch"]))
    value = draw(st.sampled_from([None, 1, 2, 0.1, "none", {"flip": False}, -1, "1e-3"]))
    return (section, per, draw(st.sampled_from(names)), key), value


@st.composite
def mutants_of(draw: st.DrawFn) -> Mutant:
    """One change of one of `BASES`; a swap and a new name have two places."""
    base = draw(st.sampled_from(sorted(BASES)))
    config = copy.deepcopy(BASES[base])
    what = draw(st.sampled_from(["replace", "vary", "remove", "rename", "add", "repeat", "swap", "override"]))
    if what == "override":
        place, value = draw(overrides())
        parent = config
        for part in place[:-1]:
            parent = parent.setdefault(part, {})
        parent[place[-1]] = value
        return Mutant(base, what, (place,), config)
    place = draw(st.sampled_from(list(places_in(config))))
    parent, key = at(config, place[:-1]), place[-1]
    others = [place]
    if what == "replace":
        parent[key] = draw(VALUES)
    elif what == "vary":
        parent[key] = draw(like(parent[key]))
    elif what == "remove":
        del parent[key]
    elif what == "swap":
        other = draw(st.sampled_from(list(parent) if isinstance(parent, dict) else range(len(parent))))
        parent[key], parent[other] = parent[other], parent[key]
        others.append((*place[:-1], other))
    elif isinstance(parent, list):
        parent.append(draw(VALUES) if what == "add" else copy.deepcopy(parent[key]))
        others = [(*place[:-1], len(parent) - 1)]
    else:
        new = draw(KEYS if what == "add" else st.one_of(KEYS, misspelt(key)))
        parent[new] = draw(VALUES) if what == "add" else parent[key]
        if what == "rename" and new != key:
            del parent[key]
        others.append((*place[:-1], new))
    return Mutant(base, what, tuple(others), config)


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


def reprs(value: Any) -> str:
    """`repr`, also of integers that Python refuses to write in decimals, and of what is nested too deep for it."""
    try:
        return repr(value)
    except (ValueError, RecursionError) as error:
        return f"{type(error).__name__} {id(value)}"


# ---- what becomes of a mutant --------------------------------------------------------------------


def seen_by_the_workflow(study: Study) -> dict[str, Any]:
    """All that rules and tools read of a study: every settings string, the jobs, and what the Snakefile asks for.

    The strings are those of every architecture, rule and mode, whether or not the grid has it.
    """
    seeds = {seed for _, seed in study.families} | set(study.baselines.single_model_seeds)
    seen: dict[str, Any] = {
        "jobs": (study.cells, study.families, study.subspace_cells, study.certified_cells, study.sublora_cells),
        "shell": (study.results_dir, study.jobs_per_gpu, study.execution.threads, study.splits.experts),
        "choices": (study.only_finished, study.baselines.finetuned_average, study.name, study.image_file),
        "single": [study.single_models(name, seed) for name in ARCHITECTURE_SETTINGS for seed in sorted(seeds)],
        "steps": (study.for_images(), study.for_splits(), study.for_evaluation(), study.for_joint_certificate()),
        "gathering": (study.for_gathering(), study.for_comparison(), study.for_certificate_gathering()),
        "tables": study.for_tables(),
        "figures": [study.for_figure(name) for name in FIGURES],
        "certificate figures": [study.for_certificate_figure(name) for name in CERTIFICATE_FIGURES],
        "language figures": [study.for_sublora_figure(name) for name in SUBLORA_FIGURES],
        "subspace": [study.for_subspace(rule) for rule in FUSIONS],
        "fetched": study.images_may_be_fetched,
        "initial": [study.fusion.resolved(rule).initial_components for rule in FUSIONS],
    }
    for name in ARCHITECTURE_SETTINGS:
        wider = getattr(study.baselines.wider_single, name) and study.for_pretraining(name, WIDER)
        seen[name] = study.for_pretraining(name, "expert_0"), wider, study.for_finetuning(name)
        seen[f"joint {name}"] = [study.for_fusion(name, rule) for rule in FUSIONS]
    if study.sublora is not None:
        modes = (*PLAIN_MODES, *NULLS, "fixed_0.2")
        seen["language"] = [study.for_sublora_training(mode) for mode in modes], study.sublora.training.processes
        seen["bounds"] = study.for_corpus(), study.for_sublora_certificate(), study.for_ngram()
        seen["language gathering"] = (
            study.for_sublora_gathering(),
            study.for_gate_gathering(),
            *(study.sublora.corpus.files, study.sublora.corpus.may_download),
        )
    return seen


def layered(study: Study, section: str, per: str, names: Any, guides: Any) -> dict[str, dict[str, Any]]:
    """What holds for each name: its overrides over the section over the guides, by plain dictionaries."""
    found = getattr(study, section)
    own = found.model_dump(mode="json", exclude={per})
    layers = found.model_dump(mode="json", exclude_unset=True).get(per, {})
    merged = {name: {**own, **layers.get(name, {})} for name in names}
    return {
        name: {key: guides.get(name, {}).get(key) if value is None else value for key, value in values.items()}
        for name, values in merged.items()
    }


def meaning(study: Study) -> dict[str, Any]:
    """All values of a study, but for the five places where other words can say the same.

    Overrides that say what holds anyway; keys of another fusion rule; the rule whose training the control shares; the
    blocks of certificates and of language models, which are unions.
    """
    values = study.plain()
    values["pretraining"] = layered(study, "pretraining", "per_architecture", ARCHITECTURE_SETTINGS, {})
    values["fusion"] = layered(study, "fusion", "per_fusion", FUSIONS, GUIDE_DEFAULTS)
    for rule in set(FUSIONS) - {ATTENTION_RULE}:
        values["fusion"][rule] = {key: value for key, value in values["fusion"][rule].items() if key not in ATTENTION}
    control = values["fusion"][study.baselines.finetuned_as]
    values["baselines"]["finetuned_as"] = {key: value for key, value in control.items() if key not in FUSION_ONLY}
    values["certificates"]["blocks"] = study.subspace_cells
    if study.sublora is not None:
        values["sublora"]["grid"] = study.sublora_cells
    return values


def lost(written: Any, read: Any, place: Place = ()) -> Iterator[str]:
    """What a configuration says and the study does not: every key and value must be there, in a normal form at most."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            if key in read:
                yield from lost(value, read[key], (*place, key))
            else:
                yield f"{dotted((*place, key))} is ignored"
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for index, (value, other) in enumerate(zip(written, read, strict=True)):
            yield from lost(value, other, (*place, index))
    elif not says_the_same(written, read, place):
        yield f"{dotted(place)} is read as {read!r}, not as {written!r}"


def says_the_same(written: Any, read: Any, place: Place) -> bool:
    """Equal, or one of the normal forms: whole numbers and `1e-4` as reals, recipes by name, one spelling of a path."""
    if type(written) is type(read):
        return bool(written == read) or (place == ("results_dir",) and Path(written) == Path(read))
    if isinstance(read, float):
        return isinstance(written, int | str) and float(written) == read
    return isinstance(written, str) and written in AUGMENTATIONS and AUGMENTATIONS[written].plain() == read


SAYS = re.compile(r"expected .*, found |allowed: .*|; found |this key is required")


def unrelated(mutant: Mutant, lines: list[str]) -> list[str]:
    """The lines of a refusal that do not begin with the path of a mutated key, or do not say what is wrong.

    For an item the path of its list is as good; `source` decides which keys stand beside it. Where keys must agree, the
    line begins with one of them and names the others.
    """
    return [line for line in lines if not (SAYS.search(line) and any(names(mutant, p, line) for p in mutant.places))]


def names(mutant: Mutant, place: Place, line: str) -> bool:
    of_parent = len(place) > 1 and (place[-1] == "source" or isinstance(place[-1], int))
    paths = [place, place[:-1]] if of_parent else [place]
    if any(re.match(rf"config: {re.escape(dotted(path))}[.:]", line) for path in paths):
        return True
    try:
        before = at(BASES[mutant.base], place)
    except (KeyError, IndexError, TypeError):
        before = None
    keys = {part for path in [place, *places_in(before)] for part in path if isinstance(part, str)}
    top = {place[0]} if len(place) > 1 else set()
    agreeing = any(re.search(rf"\b{re.escape(key)}\b", line.partition(": expected ")[2]) for key in keys - top)
    return line.startswith("config: ") and agreeing


def judge(mutant: Mutant, read: Reader = read_study) -> str:
    """`refused`, `used`, or `same` for another spelling of the same study; AssertionError for anything else."""
    try:
        study = read(mutant.config)
    except UserError as error:
        lines = str(error).splitlines()
        assert lines, f"{mutant}: refused without a word"
        assert not unrelated(mutant, lines), f"{mutant}: {unrelated(mutant, lines)}"
        assert max(map(len, lines)) < 1500
        return "refused"
    missing = list(lost(mutant.config, study.plain()))
    assert not missing, f"{mutant}: {missing}"
    before = read_study(BASES[mutant.base])
    if seen_by_the_workflow(study) != seen_by_the_workflow(before):
        return "used"
    assert meaning(study) == meaning(before), f"{mutant}: accepted, and nothing sees it"
    return "same"


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


class ForgetfulStudy(Study):
    def for_evaluation(self) -> str:
        return Study.for_evaluation(self.model_copy(update={"evaluation": EvaluationSettings()}))


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


def test_a_key_that_no_step_gets_is_noticed() -> None:
    mutant = added(("execution", "threads"), 1)
    assert judge(mutant, reader_of(ForgetfulStudy)) == "same"
    config = {**BASES["config"], "evaluation": {"batch_size": 7}}
    mutant = Mutant("config", "add", (("evaluation", "batch_size"),), config)
    assert judge(mutant) == "used"
    with pytest.raises(AssertionError, match="nothing sees it"):
        judge(mutant, reader_of(ForgetfulStudy))


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
