"""The three questions of the study as tests: does asymmetry help, do gates leave one half, does gamma follow depth.

One seed is one observation. The tests of a question are corrected together by Holm's method. A question is answered yes
or no by its adjusted p-values alone; where none is below 1 - confidence, the data cannot tell.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.seed_tests import CANNOT_TELL, LESS, MORE, mean_test, with_holm
from certifuse.reporting.sublora.choice import HEADLINE
from certifuse.reporting.sublora.contrasts import ALLOCATION, OF_NULLS, contrasts
from certifuse.reporting.sublora.frames import HEAD
from certifuse.reporting.sublora.modes import EQUAL_SHARE, LEARNED, is_asymmetric, mode_label
from certifuse.reporting.tables import Row

ASYMMETRY, GATES, NULL_GATES, DEPTH = "asymmetry", "gates", "null gates", "depth"
QUESTIONS = {
    ASYMMETRY: "Does asymmetric allocation help?",
    GATES: "Do learned gates leave one half?",
    NULL_GATES: "Are learned gates better than their nulls?",
    DEPTH: "Does gamma follow depth?",
}
MEAN_OF_LAYERS = "mean of the layers"
ADVISED_SEEDS = 5
COLUMNS = (
    *("question", "answer", "budget", "test", "unit", "seeds", "estimate", "low", "high", "p_value", "p_holm"),
    "verdict",
)


def answers(frames: Frames, confidence: float) -> list[Row]:
    """Every test of every question, in the order of `QUESTIONS`: rows of `COLUMNS` but for the common answer."""
    compared = contrasts(frames, confidence)
    return [
        *_of_contrasts(ASYMMETRY, [row for row in compared if is_asymmetric(row["mode"])], ALLOCATION, confidence),
        *gate_answers(frames.gates, confidence),
        *_of_contrasts(NULL_GATES, compared, OF_NULLS, confidence),
        *depth_answers(frames.gates, confidence),
    ]


def gate_answers(gates: pd.DataFrame, confidence: float) -> list[Row]:
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
                names = {"question": GATES, "budget": d, "test": f"gamma minus 1/2, {name}", "unit": "share of B"}
                tests.append(names | mean_test(gamma.to_numpy(float) - EQUAL_SHARE, confidence))
    return _decided(with_holm(tests), confidence)


def depth_answers(gates: pd.DataFrame, confidence: float) -> list[Row]:
    """The slope of gamma on depth over the seeds at every budget; none for a network of one layer."""
    names = {"question": DEPTH, "test": "slope of gamma on depth", "unit": "share of B per layer"}
    slopes = {d: depth_slopes(learned_gates(gates, d)) for d in learned_budgets(gates)}
    tests = [names | {"budget": d} | mean_test(found, confidence) for d, found in slopes.items() if len(found)]
    return _decided(with_holm(tests), confidence)


def depth_slopes(gates: pd.DataFrame) -> pd.Series:
    """Least-squares slope of gamma on depth for every seed, per layer; the head is no layer. None for one layer."""
    layers = gates[gates["group"] != HEAD]
    slopes = {
        seed: float(np.polyfit(rows["depth"].to_numpy(float), rows["gamma"].to_numpy(float), 1)[0])
        for seed, rows in layers.groupby("seed")
        if rows["depth"].nunique() > 1
    }
    return pd.Series(slopes, dtype="float64")


def learned_gates(gates: pd.DataFrame, d: int) -> pd.DataFrame:
    """The gates of the learned models of a budget."""
    return rows_with(gates, mode=LEARNED, d=d)


def learned_budgets(gates: pd.DataFrame) -> list[int]:
    """The budgets with learned gates."""
    return sorted(int(d) for d in rows_with(gates, mode=LEARNED)["d"].unique())


def _of_contrasts(question: str, compared: Sequence[Row], family: str, confidence: float) -> list[Row]:
    """Contrasts of our bound, already corrected within their family."""
    tests = []
    for row in compared:
        if (row["family"], row["metric"]) == (family, HEADLINE):
            pair = f"{mode_label(row['mode'])} minus {mode_label(row['baseline'])}"
            names = {"question": question, "budget": row["budget"], "test": pair, "unit": "bits per token"}
            found = {name: row[name] for name in ("seeds", "low", "high", "p_value", "p_holm")}
            tests.append(names | {"estimate": row["difference"]} | found)
    return _decided(tests, confidence)


def _decided(tests: Sequence[Row], confidence: float) -> list[Row]:
    """The tests with the sign of the mean where the adjusted p-value is below 1 - confidence; else undecided."""
    decided = []
    for test in tests:
        tells = test["p_holm"] is not None and test["p_holm"] < 1 - confidence
        sign = LESS if tells and test["estimate"] < 0 else MORE
        decided.append(test | {"verdict": sign if tells else CANNOT_TELL})
    return decided
