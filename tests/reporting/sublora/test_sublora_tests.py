"""Contrasts, questions and answers against SciPy, by hand, and with effects that are there or not."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from certifuse.reporting.frames import Frames
from certifuse.reporting.sublora.answers import answer_rows, verdict
from certifuse.reporting.sublora.choice import compared_rows
from certifuse.reporting.sublora.contrasts import contrasts, mean_test, with_holm
from certifuse.reporting.sublora.questions import (
    ASYMMETRY,
    CANNOT_TELL,
    DEPTH,
    GATES,
    LESS,
    MORE,
    NULL_GATES,
    QUESTIONS,
    answers,
    depth_answers,
    depth_slopes,
    gate_answers,
)


@pytest.fixture(scope="module")
def compared(frames) -> list[dict]:
    return contrasts(frames, 0.95)


def contrast(compared: list[dict], **wanted: object) -> dict:
    (found,) = [row for row in compared if all(row[name] == value for name, value in wanted.items())]
    return found


def shifted(frames: Frames, mode: str, by: float) -> Frames:
    """The study with another effect of one mode on the bound, nearly the same in all seeds."""
    metrics = frames.metrics.copy()
    noise = metrics["seed"].map({42: 0.0, 123: 1e-3, 999: -1e-3}).fillna(0.0).astype(float)
    base = metrics[metrics["mode"] == "proportional"].set_index(["d", "seed", "levels"])["bound_best_bpd"]
    for index in metrics.index[metrics["mode"] == mode]:
        key = tuple(metrics.loc[index, ["d", "seed", "levels"]])
        metrics.loc[index, "bound_best_bpd"] = base[key] + by + noise[index]
    return Frames(metrics=metrics, gates=frames.gates, missing=frames.missing)


def test_a_contrast_is_scipys_paired_test(frames, compared):
    rows = compared_rows(frames.metrics, 2000)
    values = [rows[rows["mode"] == mode].sort_values("seed")["risk_bpd"] for mode in ("learned", "proportional")]
    expected = stats.ttest_rel(*[value.to_numpy() for value in values])
    low, high = expected.confidence_interval(0.95)
    found = contrast(compared, metric="risk_bpd", budget=2000, mode="learned", baseline="proportional")
    assert found["p_value"] == pytest.approx(expected.pvalue)
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    assert found["difference"] == pytest.approx(values[0].mean() - values[1].mean())
    assert found["baseline_mean"] == pytest.approx(values[1].mean())


def test_seeds_without_a_partner_are_left_out(frames, compared):
    found = contrast(compared, metric="bound_best_bpd", budget=1000, mode="learned", baseline="uniform")
    rows = compared_rows(frames.metrics, 1000).set_index(["mode", "seed"])["bound_best_bpd"]
    by_hand = [rows["learned", seed] - rows["uniform", seed] for seed in (42, 123)]  # 999 is not finished
    assert (found["seeds"], found["difference"]) == (2, pytest.approx(np.mean(by_hand)))
    none = contrast(compared, metric="code_bits", budget=2000, mode="fixed_0.2", baseline="uniform")
    assert (none["seeds"], none["difference"], none["p_value"], none["p_holm"]) == (0, None, None, None)


def test_every_mode_is_compared_with_each_baseline_once(compared):
    at = [row for row in compared if row["metric"] == "bound_best_bpd" and row["budget"] == 1000]
    pairs = [(row["mode"], row["baseline"]) for row in at if row["family"] == "allocation"]
    others = ["fixed_0.2", "fixed_0.5", "fixed_0.8", "learned"]
    assert sorted(pairs) == sorted(
        [("uniform", "proportional"), *((m, b) for m in others for b in ("proportional", "uniform"))]
    )
    assert {row["mode"] for row in at if row["family"] == "nulls"} == {"learned"}


def test_holm_is_over_all_contrasts_of_a_family_and_metric(compared):
    family = [row for row in compared if row["metric"] == "risk_bpd" and row["family"] == "allocation"]
    ps = sorted((row["p_value"], row["p_holm"]) for row in family if row["seeds"])
    by_hand = np.maximum.accumulate([min(1.0, p * (len(ps) - rank)) for rank, (p, _) in enumerate(ps)])
    assert [adjusted for _, adjusted in ps] == pytest.approx(list(by_hand))


def test_a_mean_is_tested_as_scipy_does_and_one_value_is_not():
    values = [0.1, 0.2, 0.4]
    assert mean_test(values, 0.9)["p_value"] == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)
    assert mean_test([0.3], 0.95)["p_value"] is None
    assert (mean_test([0.0, 0.0], 0.95)["p_value"], mean_test([0.2, 0.2], 0.95)["p_value"]) == (1.0, 0.0)
    assert [row["p_holm"] for row in with_holm([mean_test([], 0.95), mean_test([0.3], 0.95)])] == [None, None]


def test_contrasts_are_also_in_percent_of_the_baseline(compared):
    row = contrast(compared, metric="bound_best_bpd", budget=1000, mode="fixed_0.2", baseline="uniform")
    assert row["difference_percent"] == pytest.approx(100 * row["difference"] / row["baseline_mean"])
    assert (row["seeds"], row["levels"]) == (3, 3)


# ---- questions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("by", "expected"), [(-0.2, "yes, in"), (0.2, "no, it costs, in"), (0.0, CANNOT_TELL)])
def test_asymmetry_is_judged_by_the_effect(frames, by, expected):
    changed = shifted(frames, "fixed_0.8", by)
    keep = changed.metrics["mode"].isin(["fixed_0.8", "proportional"])
    study = Frames(metrics=changed.metrics[keep], gates=frames.gates, missing=frames.missing.iloc[:0])
    found = verdict(ASYMMETRY, answers(study, 0.95), 0.95)
    assert found.short.startswith(expected)
    if by:
        assert found.short.endswith("in 2 of 2 tests")
        assert "fixed 0.8 minus proportional at d = 1,000" in found.reasons[0]
    else:
        assert found.reasons[0].startswith("None of 2 tests has an adjusted p-value below 0.05")


def test_opposite_effects_depend(frames):
    metrics = frames.metrics[frames.metrics["mode"].isin(["fixed_0.8", "proportional"])]
    up, down = (shifted(frames, "fixed_0.8", by).metrics.loc[metrics.index] for by in (0.2, -0.2))
    study = Frames(
        metrics=pd.concat([up[up["d"] == 1000], down[down["d"] == 2000]]),
        gates=frames.gates,
        missing=frames.missing.iloc[:0],
    )
    assert verdict(ASYMMETRY, answers(study, 0.95), 0.95).short == "it depends, in 2 of 2 tests"


def test_gates_are_tested_against_one_half(frames):
    found = {(row["budget"], row["test"]): row for row in gate_answers(frames.gates, 0.95)}
    gates = frames.gates[(frames.gates["mode"] == "learned") & (frames.gates["d"] == 2000)]
    head = gates[gates["group"] == "head"]["gamma"].to_numpy()
    assert found[2000, "gamma minus 1/2, head"]["p_value"] == pytest.approx(stats.ttest_1samp(head, 0.5).pvalue)
    layers = gates[gates["group"] != "head"].groupby("seed")["gamma"].mean()
    assert found[2000, "gamma minus 1/2, mean of the layers"]["estimate"] == pytest.approx(layers.mean() - 0.5)
    assert found[2000, "gamma minus 1/2, head"]["verdict"] == MORE
    mirrored = frames.gates.assign(gamma=1 - frames.gates["gamma"])
    assert {row["verdict"] for row in gate_answers(mirrored, 0.95)} == {LESS, CANNOT_TELL}
    assert verdict(GATES, gate_answers(mirrored, 0.95), 0.95).short.startswith("yes, towards A, in")


def test_the_slope_is_that_of_the_layers(frames):
    depth = np.arange(4)
    rows = [
        {"seed": seed, "group": f"layer_{layer}", "depth": layer, "gamma": 0.3 + slope * layer}
        for seed, slope in ((0, 0.1), (1, -0.05))
        for layer in depth
    ]
    rows += [{"seed": seed, "group": "head", "depth": 4, "gamma": 0.9} for seed in (0, 1)]
    assert depth_slopes(pd.DataFrame(rows)).to_dict() == pytest.approx({0: 0.1, 1: -0.05})
    (first, second) = depth_answers(frames.gates, 0.95)
    assert (first["verdict"], second["verdict"]) == (MORE, MORE)
    assert verdict(DEPTH, [first, second], 0.95).short == "yes, it rises, in 2 of 2 tests"


def test_layers_in_random_order_have_no_depth(frames):
    gates = frames.gates[frames.gates["mode"] == "learned"].copy()
    gates["gamma"] = np.random.default_rng(1).permutation(gates["gamma"].to_numpy())
    assert verdict(DEPTH, depth_answers(gates, 0.95), 0.95).short == CANNOT_TELL


def test_one_layer_has_no_depth_and_one_seed_decides_nothing(frames, tiny):
    one_layer = frames.gates[frames.gates["group"].isin(["layer_0", "head"])]
    assert depth_answers(one_layer, 0.95) == []
    found = answers(tiny, 0.95)
    assert {row["question"] for row in found} == {ASYMMETRY, GATES, DEPTH}
    assert {verdict(question, found, 0.95).short for question in QUESTIONS} == {CANNOT_TELL}
    assert "No test has two seeds" in verdict(ASYMMETRY, found, 0.95).reasons[0]
    assert "Nothing that the question asks for" in verdict(NULL_GATES, found, 0.95).reasons[0]


def test_less_confidence_decides_more(frames):
    rows = {confidence: answer_rows(answers(frames, confidence), confidence) for confidence in (0.95, 0.5)}
    decided = {level: sum(row["verdict"] != CANNOT_TELL for row in rows[level]) for level in rows}
    assert decided[0.5] > decided[0.95] > 0
    assert all((row["p_holm"] < 0.05) == (row["verdict"] != CANNOT_TELL) for row in rows[0.95] if row["seeds"] > 1)
