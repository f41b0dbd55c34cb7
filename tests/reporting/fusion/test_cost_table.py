"""The cost table against the numbers that it was made from."""

import pytest

from certifuse.reporting.fusion.costs import COLUMNS, cost_rows, costs_tex


def test_costs_stand_beside_accuracy_as_multiples_of_one_expert(frames):
    rows = [row for row in cost_rows(frames.summary) if row["architecture"] == "resnet"]
    found = {row["predictor"]: row for row in rows if row["fusion"] in ("baseline", "multiplicative")}
    assert list(found) == ["expert_0_before", "single", "probability_average_finetuned", "fused"]
    assert {name: row["parameters_of_one_expert"] for name, row in found.items()} == {
        **{"expert_0_before": 1.0, "single": 1.0, "probability_average_finetuned": 4.0, "fused": 4.5},
    }
    assert found["fused"]["forward_flops"] == 9_000_000
    assert found["fused"]["flops_of_one_expert"] == 4.5
    accuracies = frames.summary.query(
        "architecture == 'resnet' and fusion == 'multiplicative' and `lambda` == '1.0' and predictor == 'fused' "
        "and metric == 'top1_percent'"
    )["value"]
    assert found["fused"]["top1_percent_mean"] == pytest.approx(accuracies.mean())
    assert found["fused"]["lambda"] == "1.0"
    assert set(COLUMNS) == set(found["fused"])


def test_what_was_not_counted_has_no_row(frames):
    without = frames.summary[(frames.summary["metric"] != "parameters") | (frames.summary["fusion"] == "baseline")]
    assert "fused" not in {row["predictor"] for row in cost_rows(without)}
    assert "fused" in {row["predictor"] for row in cost_rows(frames.summary)}
    assert cost_rows(frames.summary[:0]) == []


def test_without_an_expert_there_is_no_multiple(frames):
    rows = cost_rows(frames.summary[frames.summary["predictor"] == "single"])
    assert {"parameters_of_one_expert", "flops_of_one_expert"}.isdisjoint(rows[0])
    (line,) = [line for line in costs_tex(rows[:1], "tiny").splitlines() if line.startswith("resnet")]
    assert line.count("&") == 8
    assert "& 1,000 &  & 2.00 &  &" in line
