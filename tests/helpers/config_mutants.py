"""Valid configurations and their mutants: keys and values that are added, removed, misspelt or of another kind."""

import copy
import datetime
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from certifuse.study.reading.plain_values import dotted
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.study.settings.fusion import FUSIONS

Place = tuple[Any, ...]

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


def reprs(value: Any) -> str:
    """`repr`, also of integers that Python refuses to write in decimals, and of what is nested too deep for it."""
    try:
        return repr(value)
    except (ValueError, RecursionError) as error:
        return f"{type(error).__name__} {id(value)}"
