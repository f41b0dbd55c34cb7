"""Synthetic SubLoRA studies in the form that the workflow gathers: simple curves, bounds by the library, no chance."""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
import pandas as pd
import pytest

from certifuse.evaluation.bounds.bernstein import bernstein_occam_subsampled
from certifuse.evaluation.bounds.evidence import bpd_range
from certifuse.evaluation.bounds.hoeffding import hoeffding_occam_subsampled, hoeffding_penalty
from certifuse.reporting.frames import Frames
from certifuse.reporting.sublora.frames import SCHEMAS

M, N, V, DELTA, SPREAD = 74_057, 5_000, 256, 0.05, 0.35
ALPHAS = {"published": 0.1, "bernstein": 0.01}
SHIFTS = {"uniform": 0.0, "fixed_0.2": 0.09, "fixed_0.5": 0.03, "fixed_0.8": 0.01, "proportional": -0.02}
SHIFTS |= {"learned": -0.05, "learned_random": 0.06, "learned_permuted": 0.0, "learned_refixed": -0.04}
SHIFTS |= {"subspace_only": 0.75, "lora_only": -0.15}
MODES = ("uniform", "fixed_0.2", "fixed_0.5", "fixed_0.8", "proportional", "learned")
NULLS = ("learned_random", "learned_permuted", "learned_refixed")
NGRAMS = {"uniform": (8.0, 8.0), "unigram": (4.48, 940.0), "bigram": (3.58, 26_000.0)}
LAYERS = 4
LORA_WEIGHTS = 9728
Row = dict[str, object]


@cache
def bounds_of(risk: float, bits: float) -> dict[str, dict[str, float]]:
    """The terms of both inequalities, each at its own alpha, for a risk without smoothing."""
    terms = {}
    for name, alpha in ALPHAS.items():
        low, width = bpd_range(alpha, V)
        smoothed = max(risk + 0.1 * alpha * (8 - risk) - math.log2(1 - alpha) / 2, low)
        bound = (
            hoeffding_occam_subsampled(smoothed, bits, M, N, DELTA, width)
            if name == "published"
            else bernstein_occam_subsampled(smoothed, SPREAD, bits, M, N, DELTA, width)
        )
        drawn = hoeffding_penalty(0.0, N, DELTA * M / (N + M), width) * (1.0 if name == "published" else 0.3)
        terms[name] = {"alpha": alpha, "risk_bpd": smoothed, "subsampling_bpd": drawn, "bound_bpd": bound}
        terms[name] |= {"complexity_bpd": bound - smoothed - drawn}
    return terms


def certificate(key: Row, risk: float, bits: float, validation: float) -> tuple[Row, list[Row], list[Row]]:
    """A row of the metrics, its terms, and its ledger; our bound pays 0.004 bits for the choice of inequality."""
    terms = bounds_of(risk, bits)
    ours, published = terms["bernstein"], terms["published"]
    row = key | {"documents": M, "subsample": N, "vocabulary": V, "delta": DELTA, "inequality": "bernstein"}
    row |= {"alpha": ours["alpha"], "validation_bpd": validation, "risk_bpd": ours["risk_bpd"], "deviation_bpd": SPREAD}
    row |= {"code_bits": bits, "kl_nats": bits * math.log(2), "bound_published_bpd": published["bound_bpd"]}
    row |= {"bound_hoeffding_bpd": published["bound_bpd"] + 0.1, "candidates": 48}
    row |= {"bound_best_bpd": ours["bound_bpd"] + 0.004, "bound_best_of_bpd": ours["bound_bpd"] + 0.034}
    row |= {"vacuous_bpd": math.log2(V)}
    row |= {"top1_risk": 0.70, "top1_bound": 1.04}
    model = {name: key.get(name) for name in ("d", "mode", "seed", "levels")}
    named = [model | {"inequality": name} | values for name, values in terms.items()]
    charges = {"symbols": bits - 120.0, "codebook": 112.0, "smoothing alpha": 3.0, "mode": 5.0}
    if key["model"] == "ngram":
        charges = {"counts": bits}
    ledger = [{"model": key["model"]} | model | {"charge": name, "bits": value} for name, value in charges.items()]
    return row, named, ledger


class Study:
    """Rows of all files, filled certificate by certificate."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)
        self.metrics: list[Row] = []
        self.terms: list[Row] = []
        self.ledgers: list[Row] = []
        self.gates: list[Row] = []
        self.missing: list[Row] = []

    def add(self, key: Row, risk: float, bits: float, validation: float) -> None:
        row, terms, ledger = certificate(key, risk, bits, validation)
        self.metrics.append(row)
        self.terms += terms
        self.ledgers += ledger

    def train(self, d: int, mode: str, seed: int, levels: tuple[int, ...], seed_effect: float) -> None:
        """All certificates of one model: seeds share an effect, so that pairs are closer than seeds."""
        own = SHIFTS[mode] + seed_effect + self.generator.normal(0, 0.012)
        for number in levels:
            risk = 3.75 + 6.4 * d**-0.42 + 0.9 / number + own
            bits = round(0.96 * d * math.log2(number) * (0.97 if number > 3 else 0.9)) + 140.0
            bits += round(float(self.generator.normal(0, 4))) + (38.0 if mode.startswith("learned") else 0.0)
            ratio = {"proportional": 0.72}.get(mode, float(mode[6:]) if mode.startswith("fixed_") else math.nan)
            key: Row = {"model": "sublora", "d": d, "mode": mode, "seed": seed, "levels": number, "ratio": ratio}
            self.add(key, risk, bits, risk + 0.03)
        if mode.startswith("learned"):
            self.gate(d, mode, seed)

    def gate(self, d: int, mode: str, seed: int) -> None:
        budget = d // (LAYERS + 2)
        for depth in range(LAYERS + 1):
            directions = budget if depth < LAYERS else d - LAYERS * budget
            aim = 0.52 + 0.05 * depth if mode == "learned" else self.generator.uniform(0.1, 0.9)
            split = round(directions * float(np.clip(aim + self.generator.normal(0, 0.012), 0, 1)))
            group = f"layer_{depth}" if depth < LAYERS else "head"
            row: Row = {"d": d, "mode": mode, "seed": seed, "group": group, "depth": depth, "budget": directions}
            self.gates.append(row | {"split": split, "gamma": split / directions})

    def frames(self) -> Frames:
        return Frames(**{name: typed(getattr(self, name), SCHEMAS[name].columns) for name in SCHEMAS})


def typed(rows: list[Row], columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(dict(columns))


def study_of(
    budgets: tuple[int, ...] = (1000, 2000),
    modes: tuple[str, ...] = MODES,
    seeds: tuple[int, ...] = (42, 123, 999),
    levels: tuple[int, ...] = (3, 7, 11),
    nulls: tuple[str, ...] = NULLS,
    references: tuple[str, ...] = ("subspace_only", "lora_only"),
    swept: tuple[int, ...] = (),
    ngrams: bool = True,
    gaps: dict[tuple[int, str, int], str] | None = None,
) -> Study:
    """A full product less `gaps`, with uniform and proportional models at the budgets `swept`, and n-gram tables."""
    study = Study()
    effects = {seed: float(study.generator.normal(0, 0.03)) for seed in seeds}
    gaps = gaps or {}
    for seed in seeds:
        cells: list[tuple[int, str]] = [(d, mode) for d in budgets for mode in (*modes, *nulls)]
        cells += [(LORA_WEIGHTS if mode == "lora_only" else d, mode) for mode in references for d in budgets]
        cells += [(d, mode) for d in swept for mode in ("uniform", "proportional")]
        for d, mode in dict.fromkeys(cells):
            reason = gaps.get((d, mode, seed))
            if reason is None:
                study.train(d, mode, seed, levels, effects[seed])
            else:
                gap: Row = {"model": "sublora", "d": d, "mode": mode, "seed": seed, "reason": reason}
                study.missing += [gap | {"levels": number} for number in levels]
    for name, (risk, bits) in NGRAMS.items() if ngrams else ():
        study.add({"model": "ngram", "d": None, "mode": name, "seed": None, "levels": None}, risk, bits, risk)
    return study


GAPS = {(2000, "fixed_0.2", seed): "training failed: out of memory" for seed in (42, 123, 999)}
GAPS |= {(1000, "learned", 999): "not finished", (2000, "learned_random", 123): "not finished"}


@pytest.fixture(scope="session")
def study() -> Study:
    """The study of the guide with nulls, references, n-grams and gaps."""
    return study_of(gaps=GAPS)


@pytest.fixture(scope="session")
def frames(study: Study) -> Frames:
    return study.frames()


@pytest.fixture(scope="session")
def tiny() -> Frames:
    """One seed, one budget, one number of levels, two modes; nothing else."""
    return study_of((256,), ("uniform", "learned"), (0,), (7,), (), (), ngrams=False).frames()


@pytest.fixture(scope="session")
def none_finished() -> Frames:
    """Two budgets of which nothing has a certificate."""
    gaps = {(d, mode, 0): "interrupted" for d in (100, 200) for mode in ("uniform", "learned")}
    return study_of((100, 200), ("uniform", "learned"), (0,), (7,), (), (), ngrams=False, gaps=gaps).frames()
