"""The three questions of the study as tests: does asymmetry help, do gates leave one half, does gamma follow depth.

One seed is one observation. The tests of a question are corrected together by Holm's method. A question is answered yes
or no by its adjusted p-values alone; where none is below 1 - confidence, the data cannot tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from certifuse.reporting.frames import Frames
from certifuse.reporting.sublora.choice import HEADLINE
from certifuse.reporting.sublora.contrasts import (
    ALLOCATION,
    OF_NULLS,
    Contrast,
    MeanTest,
    contrasts,
    mean_test,
    with_holm,
)
from certifuse.reporting.sublora.frames import HEAD, at_budget
from certifuse.reporting.sublora.modes import EQUAL_SHARE, LEARNED, is_asymmetric, mode_label

ASYMMETRY, GATES, NULL_GATES, DEPTH = "asymmetry", "gates", "null gates", "depth"
QUESTIONS = {
    ASYMMETRY: "Does asymmetric allocation help?",
    GATES: "Do learned gates leave one half?",
    NULL_GATES: "Are learned gates better than their nulls?",
    DEPTH: "Does gamma follow depth?",
}
LESS, MORE, CANNOT_TELL = "below zero", "above zero", "the data cannot tell"
MEAN_OF_LAYERS = "mean of the layers"
ADVISED_SEEDS = 5


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One test of a question: what was compared at which budget, the estimate, and what follows from it."""

    question: str
    d: int
    what: str
    unit: str
    tested: MeanTest | None
    confidence: float

    @property
    def verdict(self) -> str:
        """The sign of the mean where the adjusted p-value is below 1 - confidence; else the data cannot tell."""
        test = self.tested
        if test is None or test.p_holm is None or test.p_holm >= 1 - self.confidence:
            return CANNOT_TELL
        return LESS if test.mean < 0 else MORE


def answers(frames: Frames, confidence: float) -> list[Answer]:
    """Every test of every question, in the order of `QUESTIONS`."""
    compared = contrasts(frames, confidence)
    return [
        *_of_contrasts(ASYMMETRY, [one for one in compared if is_asymmetric(one.mode)], ALLOCATION, confidence),
        *gate_answers(frames.gates, confidence),
        *_of_contrasts(NULL_GATES, compared, OF_NULLS, confidence),
        *depth_answers(frames.gates, confidence),
    ]


def learned_gates(gates: pd.DataFrame, d: int) -> pd.DataFrame:
    """The gates of the learned models of a budget."""
    return at_budget(gates[gates["mode"] == LEARNED], d)


def depth_slopes(gates: pd.DataFrame) -> pd.Series:
    """Least-squares slope of gamma on depth for every seed, per layer; the head is no layer. None for one layer."""
    layers = gates[gates["group"] != HEAD]
    slopes = {
        seed: float(np.polyfit(rows["depth"].to_numpy(float), rows["gamma"].to_numpy(float), 1)[0])
        for seed, rows in layers.groupby("seed")
        if rows["depth"].nunique() > 1
    }
    return pd.Series(slopes, dtype="float64")


def _of_contrasts(question: str, compared: Sequence[Contrast], family: str, confidence: float) -> list[Answer]:
    """Contrasts of our bound, already corrected within their family."""
    return [
        _answer(
            *(question, one.d, f"{mode_label(one.mode)} minus {mode_label(one.baseline)}"),
            *("bits per token", one.tested, confidence),
        )
        for one in compared
        if one.family == family and one.metric == HEADLINE
    ]


def gate_answers(gates: pd.DataFrame, confidence: float) -> list[Answer]:
    """gamma - 1/2 over the seeds at every budget: the mean of the layers, every layer, and the head."""
    tests = []
    for d in learned_budgets(gates):
        learned = learned_gates(gates, d)
        layers = learned[learned["group"] != HEAD]
        groups = {MEAN_OF_LAYERS: layers.groupby("seed")["gamma"].mean()}
        for _, rows in learned.groupby("depth"):
            groups[str(rows["group"].iloc[0]).replace("_", " ")] = rows["gamma"]
        for name, gamma in groups.items():
            if len(gamma):
                test = mean_test(gamma.to_numpy(float) - EQUAL_SHARE, confidence)
                tests.append(_answer(GATES, d, f"gamma minus 1/2, {name}", "share of B", test, confidence))
    return _corrected(tests)


def depth_answers(gates: pd.DataFrame, confidence: float) -> list[Answer]:
    """The slope of gamma on depth over the seeds at every budget; none for a network of one layer."""
    tests = []
    for d in learned_budgets(gates):
        slopes = depth_slopes(learned_gates(gates, d))
        if len(slopes):
            test = mean_test(slopes.to_numpy(), confidence)
            tests.append(_answer(DEPTH, d, "slope of gamma on depth", "share of B per layer", test, confidence))
    return _corrected(tests)


def learned_budgets(gates: pd.DataFrame) -> list[int]:
    """The budgets with learned gates."""
    return sorted(int(d) for d in gates.loc[gates["mode"] == LEARNED, "d"].unique())


def _answer(question: str, d: int, what: str, unit: str, tested: MeanTest | None, confidence: float) -> Answer:
    return Answer(question=question, d=d, what=what, unit=unit, tested=tested, confidence=confidence)


def _corrected(tests: list[Answer]) -> list[Answer]:
    adjusted = with_holm([answer.tested for answer in tests])
    return [replace(answer, tested=test) for answer, test in zip(tests, adjusted, strict=True)]
