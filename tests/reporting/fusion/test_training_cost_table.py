"""The table of training costs against sums by hand."""

import pandas as pd
import pytest

from certifuse.reporting.cells import CELL
from certifuse.reporting.frames import empty_frame
from certifuse.reporting.fusion.frames import SCHEMAS
from certifuse.reporting.fusion.training_costs import COLUMNS, training_cost_rows, training_costs_tex

FUSED = {"fusion": "concatenation", "lambda": "1.0"}
NONE = {"fusion": "baseline", "lambda": ""}


def scores_of(top1_percent: dict[tuple[str, int], float]) -> pd.DataFrame:
    """The summary of a resnet study from (predictor, seed) to accuracy."""
    return pd.DataFrame(
        [
            {"architecture": "resnet", **(FUSED if predictor == "fused" else NONE), "seed": seed}
            | {"predictor": predictor, "metric": "top1_percent", "value": value}
            for (predictor, seed), value in top1_percent.items()
        ]
    )


def spent_on(wall_s: dict[tuple[str, int], float], device: str = "cpu") -> pd.DataFrame:
    """The costs of a resnet study from (training, seed) to seconds."""
    return pd.DataFrame(
        [
            {"architecture": "resnet", **(FUSED if training == "joint" else NONE), "seed": seed}
            | {"training": training, "training_wall_s": seconds, "device": device}
            for (training, seed), seconds in wall_s.items()
        ],
        columns=[*CELL, "training", "training_wall_s", "device"],
    )


SCORES = {
    **{("expert_0_before", 0): 20.0, ("expert_1_before", 0): 22.0, ("probability_average_before", 0): 24.0},
    **{("probability_average_finetuned", 0): 26.0, ("single", 0): 40.0, ("fused", 0): 25.0},
}
SPENT = {
    **{("expert_0", 0): 60.0, ("expert_1", 0): 120.0, ("finetuned", 0): 30.0, ("single", 0): 150.0, ("joint", 0): 90.0}
}


def rows_of(scores: dict[tuple[str, int], float], spent: dict[tuple[str, int], float]) -> dict[str, dict]:
    return {row["predictor"]: row for row in training_cost_rows(scores_of(scores), spent_on(spent))}


def test_minutes_are_those_of_everything_that_a_predictor_needs():
    rows = rows_of(SCORES, SPENT)
    assert {name: row["training_min"] for name, row in rows.items()} == {
        **{"expert_0_before": 1.0, "single": 2.5, "probability_average_before": 3.0},
        **{"probability_average_finetuned": 3.5, "fused": 4.5},
    }
    assert rows["fused"] == {
        **{"architecture": "resnet", **FUSED, "predictor": "fused", "seeds": 1, "devices": "cpu"},
        **{"training_min": 4.5, "training_of_one_expert": 3.0},
        **{"top1_percent_mean": 25.0, "top1_percent_per_min": pytest.approx(25 / 4.5)},
    }
    assert set(COLUMNS) == set(rows["fused"])


def test_means_are_over_seeds_whose_score_and_trainings_are_all_known():
    scores = SCORES | {
        ("expert_0_before", 1): 30.0,
        ("expert_1_before", 1): 30.0,
        ("fused", 1): 35.0,
        ("fused", 2): 1.0,
    }
    spent = SPENT | {("expert_0", 1): 180.0, ("expert_1", 1): 0.0, ("joint", 1): 30.0, ("joint", 2): 1.0}
    fused = rows_of(scores, spent)["fused"]
    assert (fused["seeds"], fused["top1_percent_mean"], fused["training_min"]) == (2, 30.0, 4.0)


def test_a_multiple_is_that_of_the_experts_of_the_same_seed():
    scores = SCORES | {("expert_0_before", 1): 30.0, ("expert_1_before", 1): 30.0}
    rows = rows_of(scores, SPENT | {("expert_0", 1): 600.0, ("expert_1", 1): 1200.0})
    assert rows["single"]["training_of_one_expert"] == pytest.approx(150 / 90)
    assert rows["expert_0_before"]["training_of_one_expert"] == pytest.approx((60 / 90 + 600 / 900) / 2)


@pytest.mark.parametrize("training", ["expert_1", "joint"])
def test_a_training_that_is_not_known_leaves_no_sum(training):
    spent = {key: seconds for key, seconds in SPENT.items() if key[0] != training}
    assert "fused" in rows_of(SCORES, SPENT)
    assert "fused" not in rows_of(SCORES, spent)
    assert "single" in rows_of(SCORES, spent)


def test_without_scores_of_experts_nothing_that_needs_them_has_a_row():
    rows = rows_of({("fused", 0): 25.0, ("single", 0): 40.0}, SPENT)
    assert list(rows) == ["single"]
    assert "training_of_one_expert" not in rows["single"]


def test_an_empty_study_has_no_rows():
    assert training_cost_rows(scores_of(SCORES), empty_frame(SCHEMAS["costs"])) == []
    assert training_cost_rows(scores_of(SCORES)[:0], spent_on(SPENT)) == []


def test_the_latex_table_says_on_what_it_ran():
    rows = training_cost_rows(scores_of(SCORES), spent_on(SPENT, "cuda"))
    lines = [line for line in training_costs_tex(rows, "tiny").splitlines() if line.startswith("resnet")]
    assert lines[-1] == r"resnet & fused, concatenation & 1.0 & 1 & 4.500 & 3.00 & 25.00 & 5.56 & cuda \\"
