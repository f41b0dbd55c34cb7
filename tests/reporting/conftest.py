"""Synthetic studies in the tidy form that the workflow gathers, deterministic and shaped like real results."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from reporting_study import step_of

from certifuse.reporting.cells import CELL
from certifuse.reporting.drawing import drawn as draw
from certifuse.reporting.frames import Frames
from certifuse.study.cells import BASELINE, FINETUNED, JOINT, SINGLE

FUSIONS = ("multiplicative", "multiplicativeAddition", "TransformerBase", "concatenation", "simpleAddition")
ARCHITECTURES = {"resnet": 74.0, "densenet": 79.0, "improved_wide_resnet": 80.5, "resnext": 77.5}
LAMBDAS = ("0.1", "0.5", "1.0", "2.0", "5.0")
EXPERTS, BINS, N_TEST = 4, 15, 10_000
AVERAGES = ("probability_average", "logit_average", "majority_vote", "stacking", "oracle")
COSTS = {"expert_0_before": 1, "probability_average_finetuned": EXPERTS}
LIFTS = {"probability_average": 3.0, "logit_average": 2.9, "majority_vote": 2.1, "stacking": 2.4, "oracle": 14.0}


def _scores(top1: float, generator: np.random.Generator, full: bool = True) -> dict[str, float]:
    scores = {"top1_percent": top1 + generator.normal(0, 0.25)}
    if full:
        scores |= {"top5_percent": 94.0, "nll_nats": 1.1, "brier": 0.31, "ece": 0.08, "aurc": 0.06}
        scores |= {"temperature": 1.3, "nll_nats_calibrated": 0.9, "brier_calibrated": 0.29, "ece_calibrated": 0.02}
    return scores


def _diversity(stage: str, base: float, generator: np.random.Generator) -> dict[str, float]:
    shift = {"before": 0.0, "finetuned": -0.04, "after": -0.08}[stage]
    scores = {
        "disagreement": 0.28 + shift,
        "double_fault": 0.16,
        "q_statistic": 0.8 - shift,
        "error_correlation": 0.5 - shift,
    }
    scores |= {f"top1_without_{index}_percent": base + 2.6 - 0.2 * index for index in range(EXPERTS)}
    return {name: value + generator.normal(0, 0.01) for name, value in scores.items()}


def _costs(factor: float) -> dict[str, float]:
    return {"parameters": 1000 * factor, "forward_flops": 2_000_000 * factor}


def _family(base: float, seed: int, generator: np.random.Generator) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = {}
    for suffix, shift in (("before", -2.0), ("finetuned", 0.0)):
        scores |= {f"expert_{i}_{suffix}": _scores(base - 3 + shift, generator) for i in range(EXPERTS)}
        for name in AVERAGES:
            full = name not in {"majority_vote", "oracle"}
            scores[f"{name}_{suffix}"] = _scores(base - 3 + shift + LIFTS[name], generator, full)
        scores[f"experts_{suffix}"] = _diversity(suffix, base + shift - 3, generator)
    for name, factor in COSTS.items():
        scores[name] |= _costs(factor)
    if seed == 0:
        scores["single"] = _scores(base + 3.2, generator) | _costs(1)
    return scores


def _cell(base: float, fusion: str, lam: str, generator: np.random.Generator) -> dict[str, dict[str, float]]:
    top1 = base + 0.4 * FUSIONS.index(fusion) - 1.2 + 0.15 * np.log(float(lam) + 0.1)
    scores = {"fused": _scores(top1, generator), "fused_plus_experts": _scores(top1 + 0.5, generator)}
    scores["fused"] |= _costs(EXPERTS + 0.5)
    scores |= {f"expert_{i}_after": _scores(base - 2.5, generator) for i in range(EXPERTS)}
    for name in AVERAGES:
        scores[f"{name}_after"] = _scores(base - 2.8 + LIFTS[name], generator, name not in {"majority_vote", "oracle"})
    return scores | {"experts_after": _diversity("after", base - 3, generator)}


def _log(fusion: str, lam: str, epochs: int, generator: np.random.Generator) -> pd.DataFrame:
    epoch = np.arange(1, epochs + 1)
    rise = 1 - np.exp(-epoch / (2.0 + FUSIONS.index(fusion)))
    global_loss = 2.6 - 1.3 * rise + generator.normal(0, 0.01, epochs)
    individual = EXPERTS * (1.9 - 0.5 * rise * float(lam) / (0.5 + float(lam))) + generator.normal(0, 0.02, epochs)
    columns = {
        "epoch": epoch,
        "train_loss": global_loss + float(lam) * individual,
        "val_loss": 1.6 - 0.6 * rise + generator.normal(0, 0.01, epochs),
        "val_accuracy": 60 + 18 * rise + generator.normal(0, 0.3, epochs),
        "loss_global": global_loss,
        "loss_individual": individual,
        "loss_distillation": np.full(epochs, 0.1),
        "path_gradient_cosine": 0.6 - 0.3 * rise,
    }
    columns |= {f"expert_{index}_loss": individual / EXPERTS for index in range(EXPERTS)}
    return pd.DataFrame(columns)


def _calibration(calibrated: int, fusion: str, generator: np.random.Generator) -> pd.DataFrame:
    confidence = (np.arange(BINS) + 0.5) / BINS
    counts = np.round(N_TEST * confidence**4 / (confidence**4).sum()).astype(int)
    counts[0] = 0
    worst = 0.05 + 0.03 * FUSIONS.index(fusion) if fusion in FUSIONS else 0.02
    gap = (0.2 if calibrated else 1.0) * worst * np.sin(np.pi * confidence)
    accuracy = np.clip(confidence - gap + generator.normal(0, 0.01, BINS), 0, 1)
    return pd.DataFrame(
        {
            "calibrated": calibrated,
            "bin": np.arange(BINS),
            "count": counts,
            "mean_confidence": np.where(counts > 0, confidence, np.nan),
            "accuracy": np.where(counts > 0, accuracy, np.nan),
        }
    )


def _comparisons(
    key: dict[str, object], level: str, seeds: int, generator: np.random.Generator
) -> list[dict[str, object]]:
    rows = []
    for predictor in ("fused", "fused_plus_experts", "probability_average_after"):
        for baseline in ("probability_average_finetuned", "probability_average_before"):
            difference = float(generator.normal(-0.5 if baseline.endswith("finetuned") else 1.5, 0.3))
            row = key | {"level": level, "predictor": predictor, "baseline": baseline, "n_test": N_TEST, "seeds": seeds}
            row |= {"difference_points": difference, "low_points": difference - 0.4, "high_points": difference + 0.4}
            row |= {"bootstrap_p": 0.02, "only_predictor_right": 300, "only_baseline_right": 350, "mcnemar_p": 0.01}
            row |= {"mcnemar_p_holm": 0.04, "seeds_significant": min(seeds, 2) if level == "cell" else None}
            row |= {"bootstrap_p_holm": 0.06, "seeds_worse": 1 if level == "cell" else None}
            row |= dict.fromkeys(("t_low_points", "t_high_points"), difference if level == "cell" else None)
            rows.append(row)
    return rows


def study_frames(
    architectures: tuple[str, ...],
    fusions: tuple[str, ...],
    lambdas: tuple[str, ...],
    seeds: tuple[int, ...],
    missing: dict[tuple[str, str, str, int], str] | None = None,
    epochs: int = 12,
) -> Frames:
    """The five frames of a full product of cells, less those in `missing` (cell -> reason)."""
    generator = np.random.default_rng(0)
    gaps = missing or {}
    summary: list[dict[str, object]] = []
    logs, calibration, comparison = [], [], []

    def score(key: dict[str, object], scores: dict[str, dict[str, float]]) -> None:
        for predictor, metrics in scores.items():
            summary.extend(key | {"predictor": predictor, "metric": m, "value": v} for m, v in metrics.items())

    def calibrate(key: dict[str, object], predictor: str) -> None:
        for calibrated in (0, 1):
            calibration.append(
                _calibration(calibrated, str(key["fusion"]), generator).assign(**key, predictor=predictor)
            )

    for architecture in architectures:
        for seed in seeds:
            key: dict[str, object] = {"architecture": architecture, "fusion": "baseline", "lambda": "", "seed": seed}
            score(key, _family(ARCHITECTURES[architecture], seed, generator))
            calibrate(key, "probability_average_finetuned")
        for fusion in fusions:
            for lam in lambdas:
                cell: dict[str, object] = {"architecture": architecture, "fusion": fusion, "lambda": lam}
                done = [seed for seed in seeds if (architecture, fusion, lam, seed) not in gaps]
                for seed in done:
                    key = cell | {"seed": seed}
                    score(key, _cell(ARCHITECTURES[architecture], fusion, lam, generator))
                    calibrate(key, "fused")
                    names = {"fusion_type": fusion, "model_architecture": architecture, "lambda": lam, "seed": seed}
                    logs.append(_log(fusion, lam, epochs, generator).assign(**names))
                    comparison.extend(_comparisons(key, "seed", 1, generator))
                if done:
                    comparison.extend(_comparisons(cell | {"seed": None}, "cell", len(done), generator))
    absent = [
        {"architecture": a, "fusion": f, "lambda": lam, "seed": s, "reason": why}
        for (a, f, lam, s), why in gaps.items()
    ]
    return Frames(
        summary=pd.DataFrame(summary),
        logs=pd.concat(logs, ignore_index=True),
        calibration=pd.concat(calibration, ignore_index=True),
        comparison=pd.DataFrame(comparison).astype(
            {"seed": "Int64", "seeds_significant": "Int64", "seeds_worse": "Int64"}
        ),
        missing=pd.DataFrame(absent, columns=["architecture", "fusion", "lambda", "seed", "reason"]),
    )


@pytest.fixture(scope="session")
def frames() -> Frames:
    """Two architectures (the second without a cell), two rules, two lambdas, two seeds."""
    gaps = {("densenet", "concatenation", "1.0", seed): "training failed: out of memory" for seed in (0, 1)}
    gaps |= {("resnet", "concatenation", "0.5", 1): "not finished"}
    return study_frames(("resnet", "densenet"), ("multiplicative", "concatenation"), ("0.5", "1.0"), (0, 1), gaps)


@pytest.fixture(scope="session")
def spent(frames: Frames) -> pd.DataFrame:
    """What the trainings of `frames` took: a minute each."""
    cells = frames.summary[CELL].drop_duplicates()
    families = cells[cells["fusion"] == BASELINE]
    members = [f"expert_{index}" for index in range(EXPERTS)] + [SINGLE, FINETUNED]
    trainings = [cells[cells["fusion"] != BASELINE].assign(training=JOINT)]
    trainings += [families.assign(training=member) for member in members]
    return pd.concat(trainings, ignore_index=True).assign(training_wall_s=60.0, device="cpu")


@pytest.fixture(scope="session")
def tiny() -> Frames:
    return study_frames(("resnet",), ("concatenation",), ("1.0",), (0,))


@pytest.fixture(scope="session")
def drawn() -> Callable[..., Figure]:
    """Draws a figure of a study once; the frames are kept, so that no other frames can have their identity."""
    kept: dict[tuple[str, int, int | None], tuple[Frames, Figure]] = {}

    def draw_once(name: str, frames: Frames, budget: int | None = None) -> Figure:
        key = (name, id(frames), budget)
        if key not in kept:
            kept[key] = frames, draw(frames, step_of(name, budget))
        return kept[key][1]

    return draw_once
