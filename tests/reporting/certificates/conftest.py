"""Synthetic certificates: counts from simple curves, bounds by the library, all deterministic."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

from certifuse.evaluation.bounds.binomial import binomial_occam, clopper_pearson
from certifuse.evaluation.bounds.excess import PriorComparison
from certifuse.evaluation.bounds.excess_betting import excess_betting
from certifuse.evaluation.bounds.inequalities import zero_one_bounds
from certifuse.reporting.certificates.frames import IDENTITY, SCHEMAS
from certifuse.reporting.frames import Frames

CERTIFICATES = dict(SCHEMAS["certificates"].columns)
LEDGERS = dict(SCHEMAS["ledgers"].columns)
N, N_HELD_OUT, N_TEST, DELTA = 10_000, 2_500, 10_000, 0.05
PRIOR_RISK = {"iid": 0.650, "by_class": 0.725}
GAIN = {"iid": 0.02, "by_class": 0.14}
JOINT_RISK = {"iid": 0.60, "by_class": 0.62}
ARCHITECTURE_SHIFT = {"resnet": 0.0, "densenet": -0.05, "resnext": -0.03}
FUSION_SHIFT = {"concatenation": 0.0, "multiplicative": 0.008, "simpleAddition": -0.006, "TransformerBase": 0.012}


@cache
def _bounds(prior_errors: int, worse: int, better: int, bits: float) -> dict[str, float]:
    pairs = PriorComparison(prior_errors=prior_errors, worse=worse, better=better, examples=N)
    named = {bound.name: 100 * bound.value for bound in zero_one_bounds(pairs.errors, bits, N, DELTA, pairs)}
    return named | {
        "half_binomial": 100 * binomial_occam(pairs.errors, bits, N, DELTA / 2),
        "half_excess": 100 * excess_betting(pairs, bits, DELTA / 2),
    }


def _unseen(risk: float, generator: np.random.Generator, held_out: bool) -> dict[str, object]:
    errors, tested = int(generator.binomial(N_HELD_OUT, risk)), int(generator.binomial(N_TEST, risk))
    row: dict[str, object] = {"test_examples": N_TEST, "test_errors": tested, "test_percent": 100 * tested / N_TEST}
    if held_out:
        row |= {"held_out_examples": N_HELD_OUT, "held_out_errors": errors}
        row |= {"held_out_percent": 100 * errors / N_HELD_OUT}
        row |= {"held_out_bound_percent": 100 * clopper_pearson(errors, N_HELD_OUT, DELTA)}
    return row


def _subspace(key: dict[str, object], prior_errors: int, generator: np.random.Generator) -> dict[str, object]:
    """A model whose gain over the prior grows with d and L, and whose bits do, too."""
    d, levels, scheme = int(str(key["d"])), int(str(key["levels"])), str(key["scheme"])
    reach = (1 - np.exp(-d / 120)) * (1 - 0.5 / levels)
    shift = FUSION_SHIFT[str(key["fusion"])] * reach + 0.004 * abs(np.log(float(str(key["lambda"]))))
    worse = round(N * (0.01 + 0.04 * reach)) + int(generator.integers(30))
    better = worse + round(N * (GAIN[scheme] * reach - shift))
    errors, bits = prior_errors + worse - better, 30.0 + round(0.55 * d * np.log2(levels))
    named = _bounds(prior_errors, worse, better, bits)
    inequality = "binomial" if named["half_binomial"] <= named["half_excess"] else "excess_betting"
    row = key | {"examples": N, "errors": errors, "prior_errors": prior_errors, "worse": worse, "better": better}
    row |= {"code_bits": bits, "delta": DELTA, "risk_percent": 100 * errors / N, "inequality": inequality}
    row |= {"bound_percent": min(named["half_binomial"], named["half_excess"])}
    return row


def certificate_frames(
    schemes: tuple[str, ...] = ("by_class",),
    architectures: tuple[str, ...] = ("resnet",),
    fusions: tuple[str, ...] = ("concatenation",),
    lambdas: tuple[str, ...] = ("1.0",),
    seeds: tuple[int, ...] = (0,),
    dimensions: tuple[int, ...] = (16, 64, 256, 1024),
    levels: tuple[int, ...] = (3, 11),
    held_out: bool = True,
) -> Frames:
    """Certificates of a full product, one prior per family and one joint model per cell, with their ledgers."""
    generator = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for scheme in schemes:
        for architecture in architectures:
            for seed in seeds:
                base = PRIOR_RISK[scheme] + ARCHITECTURE_SHIFT[architecture]
                prior_errors = int(generator.binomial(N, base))
                family: dict[str, object] = {"architecture": architecture, "seed": seed, "scheme": scheme}
                bound = 100 * clopper_pearson(prior_errors, N, DELTA)
                prior = family | {"fusion": "", "lambda": "", "kind": "prior", "d": 0, "levels": 0, "examples": N}
                prior |= {"errors": prior_errors, "prior_errors": prior_errors, "worse": 0, "better": 0}
                prior |= {"code_bits": 0.0, "delta": DELTA, "risk_percent": 100 * prior_errors / N}
                prior |= {"bound_percent": bound, "inequality": "binomial"}
                rows.append(prior | _unseen(base, generator, held_out))
                for fusion in fusions:
                    for lam in lambdas:
                        cell = family | {"fusion": fusion, "lambda": lam}
                        for d in dimensions:
                            for level in levels:
                                key = cell | {"kind": "subspace", "d": d, "levels": level}
                                row = _subspace(key, prior_errors, generator)
                                risk = float(str(row["risk_percent"])) / 100 + 0.004
                                rows.append(row | _unseen(risk, generator, held_out))
                        risk = JOINT_RISK[scheme] + ARCHITECTURE_SHIFT[architecture] + FUSION_SHIFT[fusion]
                        errors = int(N * (risk - 0.2))
                        joint = cell | {"kind": "joint", "d": 272_474, "levels": 11, "examples": N, "errors": errors}
                        joint |= {"code_bits": 650_000.0, "delta": DELTA, "risk_percent": 100 * errors / N}
                        joint |= {"bound_percent": 100.0, "inequality": "binomial"}
                        rows.append(joint | _unseen(risk, generator, held_out))
    certificates = pd.DataFrame(rows).reindex(columns=list(CERTIFICATES))
    texts = [name for name, kind in CERTIFICATES.items() if kind == "str"]
    certificates = certificates.fillna(dict.fromkeys(texts, "")).astype(CERTIFICATES)
    return Frames(certificates=certificates, ledgers=_ledgers(certificates))


def _ledgers(certificates: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for row in certificates[certificates["kind"] != "prior"].to_dict("records"):
        identity = {name: row[name] for name in IDENTITY}
        charges = {"header": 12.0, "codebook": 14.5, "symbols": row["code_bits"] - 26.5}
        rows += [identity | {"charge": charge, "bits": bits} for charge, bits in charges.items()]
    return pd.DataFrame(rows, columns=list(LEDGERS)).astype(LEDGERS)


@pytest.fixture(scope="session")
def make() -> Callable[..., Frames]:
    """See `certificate_frames`."""
    return certificate_frames


@pytest.fixture(scope="session")
def study(make) -> Frames:
    """Two schemes, one of which gains by training; two rules, two lambdas, two seeds."""
    return make(
        schemes=("iid", "by_class"), fusions=("concatenation", "multiplicative"), lambdas=("0.5", "1.0"), seeds=(0, 1)
    )


@pytest.fixture(scope="session")
def one(make) -> Frames:
    """One architecture, rule, lambda and seed."""
    return make()
