"""The charts of the start page: every score and certificate is in them, as what it is."""

import json
import re
from decimal import Decimal

import pytest

from certifuse.reporting.seed_tests import mean_test
from certifuse.reporting.start_page.charts import (
    accuracy_chart,
    certified_chart,
    in_script,
    script_bundle,
)
from certifuse.study.settings.figures import FigureSettings

PALETTE = FigureSettings().palette


@pytest.fixture(scope="module")
def specification(frames):
    (chart,) = accuracy_chart(frames.summary, PALETTE, 0.95)
    return json.loads(chart.specification)


def test_every_score_is_a_mark(frames, specification):
    rows = specification["data"]["values"]
    fused = frames.summary.query("predictor == 'fused' and metric == 'top1_percent'")
    marks = [row for row in rows if row["of"] == "seed" and row["shown"] == "fused network"]
    assert sorted(row["number"] for row in marks) == sorted(fused["value"])
    assert all(row["files"].endswith(f"lambda_{row['lambda']}/seed_{row['seed']}") for row in marks)


def test_means_have_the_interval_of_their_seeds(specification):
    rows = specification["data"]["values"]
    names = ("architecture", "rule", "lambda", "shown")
    means = [row for row in rows if row["of"] == "mean"]
    for mean in means:
        seeds = [row["number"] for row in rows if row["of"] == "seed" and all(row[n] == mean[n] for n in names)]
        known = mean_test(seeds, 0.95)
        assert mean["number"] == pytest.approx(known["estimate"])
        if len(seeds) > 1:
            assert (mean["low"], mean["high"]) == pytest.approx((known["low"], known["high"]))
        else:
            assert mean["interval"] == "none: one seed"
    assert {mean["seeds"] for mean in means} == {1, 2}


def test_a_rule_has_the_colour_that_figures_give_it(specification):
    scale = specification["spec"]["layer"][0]["encoding"]["color"]["scale"]
    assert dict(zip(scale["domain"], scale["range"], strict=True)) == {
        "multiplicative": PALETTE[0],
        "concatenation": PALETTE[3],
    }


def test_certified_errors_are_written_rounded_up(one_certificate):
    (chart,) = certified_chart(one_certificate, PALETTE)
    (row,) = json.loads(chart.specification)["data"]["values"]
    assert (row["number"], row["value"], row["shown"]) == (34.561, "34.57%", "d = 1,000")
    assert row["files"] == "certificates/resnet_concatenation_lambda_1.0/seed_3/d_1000/levels_7"
    assert Decimal(row["value"].rstrip("%")) >= Decimal("34.561")


@pytest.fixture
def one_certificate(frames):
    import pandas as pd

    row = {"architecture": "resnet", "fusion": "concatenation", "lambda": "1.0", "seed": 3, "kind": "subspace"}
    row |= {"d": 1000, "levels": 7, "code_bits": 2800.0, "bound_percent": 34.561, "delta": 0.05}
    return pd.DataFrame([row | {"inequality": "excess_betting"}])


def test_nothing_measured_is_no_chart(frames, one_certificate):
    assert [*accuracy_chart(frames.summary[:0], PALETTE, 0.95)] == []
    assert [*certified_chart(one_certificate[:0], PALETTE)] == []
    assert script_bundle([]) == ""


def test_nothing_in_a_script_element_can_end_it(frames):
    assert "</script" not in in_script({"reason": "</script><img src=x>"})
    assert json.loads(in_script({"reason": "</script>"})) == {"reason": "</script>"}
    bundle = script_bundle(accuracy_chart(frames.summary, PALETTE, 0.95))
    assert "window.vegaEmbed" in bundle
    assert not re.search("</script", bundle, re.IGNORECASE)
