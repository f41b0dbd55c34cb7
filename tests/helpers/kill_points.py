"""The points at which the kill matrix kills a study, drawn by SEED."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

SEED = 20261126
OPENED, HALF, WHOLE, RENAMED, TIME = "opened", "half", "whole", "renamed", "time"
STEP, CLOCK_S = "ParameterGroup.after_backward", 12.0


@dataclass(frozen=True)
class Strike:
    """Where a step is killed, see `strike.py`; `resume` is the place of its resume state, if it is a training.

    `argument` is part of a word of its command and of no other one of this script.
    """

    script: str
    argument: str
    moment: str
    number: float
    everybody: bool = False
    resume: str | None = None


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
    Victim("draw_figure", "certified_vs_dimension", {HALF: 1}),
    Victim("draw_figure", "learned_gating_heatmap", {"Figure.draw": 2}),
    Victim("write_tables", "results/tables", {WHOLE: 5}),
)


def drawn(victims: Sequence[Victim], draws: random.Random) -> list[Strike]:
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
            strikes.append(Strike(victim.script, victim.argument, name, number, everybody, victim.resume))
    return strikes


def of_everything() -> list[Strike]:
    """A strike for every moment of every victim."""
    return drawn(VICTIMS, random.Random(SEED))


IN_CI = {"prepare_corpus", "certify_sublora", "evaluate_fusion", "gather", "draw_figure"}


def in_ci() -> list[Strike]:
    """One strike for each training and some other steps, in the order of the full list."""
    draws, strikes = random.Random(SEED), of_everything()
    steps: dict[str, list[Strike]] = {}
    for strike in strikes:
        if strike.resume or strike.script in IN_CI:
            steps.setdefault(strike.resume or strike.script, []).append(strike)
    return sorted(map(draws.choice, steps.values()), key=strikes.index)
