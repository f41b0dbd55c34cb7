"""The three answers: their tests by an independent library, and that they are made from the tests alone."""

import itertools

import pandas as pd
import pytest
from reporting_study import changed
from scipy import stats
from statsmodels.stats.multitest import multipletests

from certifuse.reporting.fusion.answers import COLUMNS, LAMBDA, RULE, WORTH, answers, of_lambda, of_rules, worth
from certifuse.reporting.seed_tests import CANNOT_TELL, LESS, MORE

FUSED = {
    ("concatenation", "0.1"): (70.0, 71.0, 72.5),
    ("concatenation", "1.0"): (74.0, 75.1, 76.4),
    ("concatenation", "5.0"): (70.1, 70.8, 72.6),
    ("multiplicative", "1.0"): (71.0, 72.2, 73.3),
    ("simpleAddition", "1.0"): (73.9, 75.3, 76.2),
}
RISE = {"0.1": 0.0, "1.0": 2.0, "5.0": 3.0}
"""What the experts gain by lambda."""


def scored():
    """Five cells of three seeds; two experts, one above and one below the fused network's 60 plus the rise."""
    rows = []
    for (fusion, lam), values in FUSED.items():
        for seed, value in enumerate(values):
            cell = {"architecture": "resnet", "fusion": fusion, "lambda": lam, "seed": seed}
            after = 60 + RISE[lam] + 0.1 * seed * RISE[lam]
            experts = {"expert_0_after": after - 1, "expert_1_after": after + 1}
            for predictor, score in ({"fused": value} | experts).items():
                rows.append(cell | {"predictor": predictor, "metric": "top1_percent", "value": score})
    return pd.DataFrame(rows)


def adjusted(tests):
    """p-values by statsmodels' Holm."""
    return multipletests([test["p_value"] for test in tests], method="holm")[1]


def test_every_pair_of_rules_is_tested_by_seed_and_corrected_together(frames):
    answer = of_rules(changed(frames, summary=scored()), 0.95)
    at_one = {fusion: values for (fusion, lam), values in FUSED.items() if lam == "1.0"}
    pairs = {frozenset((test["subject"], test["minus"])) for test in answer.tests}
    assert pairs == set(map(frozenset, itertools.combinations(at_one, 2)))
    assert len(answer.tests) == len(pairs)
    for test in answer.tests:
        known = stats.ttest_rel(at_one[test["subject"]], at_one[test["minus"]])
        assert test["p_value"] == pytest.approx(known.pvalue, abs=1e-12)
        interval = known.confidence_interval(0.95)
        assert (test["low_points"], test["high_points"]) == pytest.approx((interval.low, interval.high))
    assert [test["p_holm"] for test in answer.tests] == pytest.approx(adjusted(answer.tests))


def test_a_rule_is_best_only_where_it_is_told_from_every_other(frames):
    summary = scored()
    unclear = of_rules(changed(frames, summary=summary), 0.95)
    assert unclear.short == CANNOT_TELL
    assert "concatenation (λ = 1.0), 75.17%" in unclear.sentence
    lower = summary["fusion"].eq("simpleAddition") & summary["predictor"].eq("fused")
    clear = of_rules(changed(frames, summary=summary.assign(value=summary["value"] - 3 * lower)), 0.95)
    assert clear.short == "concatenation for resnet"
    assert sum(test["verdict"] != CANNOT_TELL for test in clear.tests) == 2


def test_lambda_moves_the_experts_and_leaves_the_fused_network_undecided():
    answer = of_lambda(scored(), 0.95)
    of = {(test["subject"], test["lambda"]): test for test in answer.tests}
    assert len(of) == 4
    fused = of["fused", "5.0"]
    assert fused["estimate_points"] == pytest.approx(0.0, abs=1e-9)
    assert fused["verdict"] == CANNOT_TELL
    experts = of["its experts, on average", "5.0"]
    assert experts["estimate_points"] == pytest.approx(3.3)
    known = stats.ttest_1samp([3.0, 3.3, 3.6], 0)
    assert experts["p_value"] == pytest.approx(known.pvalue)
    assert experts["verdict"] == MORE
    assert answer.short == f"the fused network: {CANNOT_TELL}; its experts: more accurate with more λ"
    assert "highest at λ = 1.0 (75.17%" in answer.sentence


def compared(difference, half, p_holm, over_seeds, seeds=3):
    row = {"level": "cell", "architecture": "resnet", "fusion": "concatenation", "lambda": "1.0", "seed": None}
    row |= {"predictor": "fused", "baseline": "probability_average_finetuned", "n_test": 100, "seeds": seeds}
    row |= {"difference_points": difference, "low_points": difference - half, "high_points": difference + half}
    row |= {"bootstrap_p": p_holm, "bootstrap_p_holm": p_holm}
    return row | dict(zip(("t_low_points", "t_high_points"), over_seeds, strict=True))


@pytest.mark.parametrize(
    ("row", "verdict", "short"),
    [
        (compared(2.0, 0.5, 0.001, (1.0, 3.0)), MORE, "yes, in 1 of 1"),
        (compared(-2.0, 0.5, 0.001, (-3.0, -1.0)), LESS, "no, it costs accuracy, in 1 of 1"),
        (compared(2.0, 0.5, 0.2, (1.0, 3.0)), CANNOT_TELL, CANNOT_TELL),
        (compared(2.0, 2.5, 0.001, (1.0, 3.0)), CANNOT_TELL, CANNOT_TELL),
        (compared(2.0, 0.5, 0.001, (-1.0, 5.0)), CANNOT_TELL, CANNOT_TELL),
        (compared(2.0, 0.5, 0.001, (None, None), seeds=1), MORE, "yes, in 1 of 1"),
    ],
    ids=["better", "worse", "not after the correction", "interval holds zero", "seeds hold zero", "one seed"],
)
def test_fusing_is_worth_it_where_every_interval_says_so(row, verdict, short):
    answer = worth(pd.DataFrame([row]).astype({"t_low_points": "float64", "t_high_points": "float64"}), 0.95)
    assert [test["verdict"] for test in answer.tests] == [verdict]
    assert answer.short == short
    assert ("one seed and say nothing" in answer.sentence) == (row["seeds"] == 1)


def test_what_was_not_measured_is_not_answered(frames):
    told = changed(frames, summary=frames.summary[:0], comparison=frames.comparison[:0])
    found = answers(told, 0.95)
    assert [answer.question for answer in found] == [WORTH, LAMBDA, RULE]
    assert {answer.short for answer in found} == {"not answered"}
    assert all("training failed: out of memory" in answer.sentence for answer in found)
    assert all(answer.tests == () for answer in found)


def test_one_seed_has_an_estimate_and_no_verdict(tiny):
    rules = of_rules(changed(tiny, summary=scored().query("seed == 0")), 0.95)
    assert {test["verdict"] for test in rules.tests} == {CANNOT_TELL}
    assert {test["p_holm"] for test in rules.tests} == {None}
    assert "(one seed, no interval)" in rules.sentence


def test_tests_fill_the_columns_of_their_table(frames):
    tests = [test for answer in answers(frames, 0.95) for test in answer.tests]
    assert tests
    assert {key for test in tests for key in test} == set(COLUMNS)
