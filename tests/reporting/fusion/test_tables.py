import csv
import math

import pytest
from reporting_study import changed, written
from scipy import stats

from certifuse.reporting.frames import Frames
from certifuse.reporting.fusion.tables import (
    COLUMNS,
    NO_BASELINE,
    NO_COMPARISON,
    baseline_rows,
    baselines_tex,
    caption_about,
    comparison_rows,
    comparison_tex,
    results_rows,
    results_tex,
)
from certifuse.reporting.predictors import predictor_name
from certifuse.steps.write_tables import write_tables
from certifuse.study.steps.reporting import WriteTables

STEP = WriteTables(study="cifar_small", confidence=0.95, bootstrap_samples=2000)


def results_of(frames: Frames) -> list[dict]:
    return results_rows(frames, 0.95)


def row_of(rows: list[dict], **wanted: str) -> dict:
    (row,) = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
    return row


def values_of(frames: Frames, **wanted: str) -> list[float]:
    chosen = frames.summary
    for column, value in wanted.items():
        chosen = chosen[chosen[column] == value]
    return list(chosen["value"])


def test_results_equal_a_hand_computation(frames):
    cell = {"architecture": "resnet", "fusion": "multiplicative", "lambda": "1.0", "predictor": "fused"}
    row = row_of(results_of(frames), **cell)
    first, second = values_of(frames, **cell, metric="top1_percent")
    mean, half = (first + second) / 2, stats.t.ppf(0.975, 1) * abs(first - second) / 2
    assert row["seeds"] == 2
    assert row["top1_percent_mean"] == pytest.approx(mean)
    assert row["top1_percent_low"] == pytest.approx(mean - half)
    assert row["top1_percent_high"] == pytest.approx(mean + half)
    assert row["one_model_standard_error_points"] == pytest.approx(
        100 * math.sqrt(mean / 100 * (1 - mean / 100) / 10_000)
    )
    assert (row["missing_seeds"], row["reason"]) == (0, "")


def test_a_missing_seed_is_counted_and_a_missing_cell_has_no_number(frames):
    rows = results_of(frames)
    partial = row_of(rows, architecture="resnet", fusion="concatenation", **{"lambda": "0.5"}, predictor="fused")
    assert (partial["seeds"], partial["missing_seeds"], partial["reason"]) == (1, 1, "not finished")
    assert partial["top1_percent_low"] is None
    absent = row_of(rows, architecture="densenet", fusion="concatenation", **{"lambda": "1.0"}, predictor="fused")
    assert (absent["seeds"], absent["missing_seeds"]) == (0, 2)
    assert absent["reason"] == "training failed: out of memory"
    assert not [key for key in absent if "percent" in key]


def test_a_missing_cell_says_so_in_latex(frames):
    text = results_tex(results_of(frames), "About.")
    (line,) = [line for line in text.splitlines() if line.startswith("densenet & concatenation & 1.0")]
    remark = r"\multicolumn{8}{l}{\emph{missing: training failed: out of memory}}"
    assert line == rf"densenet & concatenation & 1.0 & fused & {remark} \\"
    assert "& 1 of 2 &" in text


def test_latex_shows_the_rounded_numbers(frames):
    row = row_of(
        results_of(frames), architecture="resnet", fusion="multiplicative", predictor="fused", **{"lambda": "1.0"}
    )
    expected = f"{row['top1_percent_mean']:.2f} [{row['top1_percent_low']:.2f}, {row['top1_percent_high']:.2f}]"
    assert f"resnet & multiplicative & 1.0 & fused & 2 & {expected} & 94.00 & 1.100" in results_tex([row], "About.")


def test_the_experts_of_a_cell_have_a_line_of_their_own(frames):
    cell = {"architecture": "resnet", "fusion": "multiplicative", "lambda": "1.0"}
    row = row_of(results_of(frames), **cell, predictor="probability_average_after")
    values = values_of(frames, **cell, predictor="probability_average_after", metric="top1_percent")
    assert row["top1_percent_mean"] == pytest.approx(sum(values) / 2)
    assert "resnet & multiplicative & 1.0 & average of its experts & 2 &" in results_tex([row], "About.")


def test_baselines_are_those_with_an_accuracy(frames):
    rows = baseline_rows(frames, 0.95)
    names = {row["predictor"] for row in rows}
    assert {"single", "probability_average_finetuned", "oracle_before", "expert_3_finetuned"} <= names
    assert "experts_before" not in names
    single = row_of(rows, architecture="resnet", predictor="single")
    (value,) = values_of(frames, architecture="resnet", predictor="single", metric="top1_percent")
    assert (single["seeds"], single["top1_percent_mean"], single["top1_percent_low"]) == (1, value, None)
    vote = row_of(rows, architecture="resnet", predictor="majority_vote_before")
    assert "nll_nats_mean" not in vote
    assert r"majority vote, pre-trained & 2 &" in baselines_tex(rows, "About.")


def test_an_architecture_without_baselines_says_so(frames):
    summary = frames.summary[(frames.summary["architecture"] != "resnet") | (frames.summary["fusion"] != "baseline")]
    rows = baseline_rows(changed(frames, summary=summary), 0.95)
    assert row_of(rows, architecture="resnet")["reason"] == NO_BASELINE
    assert f"missing: {NO_BASELINE}" in baselines_tex(rows, "About.")


def test_comparisons_equal_the_frame(frames):
    rows = comparison_rows(frames)
    key = {"architecture": "resnet", "fusion": "multiplicative", "lambda": "0.5", "predictor": "fused"}
    baseline = "probability_average_finetuned"
    row = row_of(rows, **key, baseline=baseline)
    of_cells = frames.comparison[frames.comparison["level"] == "cell"]
    expected = row_of(of_cells.to_dict("records"), **key, baseline=baseline)["difference_points"]
    assert row["difference_points"] == expected
    signed = f"{expected:+.2f} [{expected - 0.4:+.2f}, {expected + 0.4:+.2f}]".replace("-", "$-$")
    assert (row["seeds"], row["seeds_significant"], row["low_points"]) == (2, 2, expected - 0.4)
    assert f"& {signed} & 2 of 2, 1 worse &" in comparison_tex(rows, STEP)


def test_a_cell_that_is_not_compared_says_why(frames):
    rows = comparison_rows(changed(frames, comparison=frames.comparison.iloc[:0]))
    reasons = {(row["architecture"], row["fusion"], row["lambda"]): row["reason"] for row in rows}
    assert len(rows) == 8
    assert reasons["resnet", "multiplicative", "0.5"] == NO_COMPARISON
    assert reasons["densenet", "concatenation", "1.0"] == "training failed: out of memory"


def test_the_caption_says_what_the_numbers_are(frames):
    caption = caption_about(results_of(frames), STEP, 10_000)
    assert "Study cifar_small." in caption
    assert "95% Student t interval" in caption
    assert "on 10000 test images: 0.4" in caption
    assert "test images" not in caption_about([], STEP, None)


@pytest.mark.parametrize(
    ("predictor", "name"),
    [
        ("single", "one model, all images"),
        ("logit_average_before", "logit average, pre-trained"),
        ("expert_2_finetuned", "expert 2, fine-tuned"),
        ("", ""),
    ],
)
def test_predictors_in_words(predictor, name):
    assert predictor_name(predictor) == name


@pytest.mark.parametrize("finished", [True, False])
def test_the_files_of_the_step(frames, spent, tmp_path, finished):
    rows = slice(None) if finished else slice(0)
    told = changed(frames, summary=frames.summary[rows], comparison=frames.comparison[rows], costs=spent)
    read = written(told, tmp_path / "read", "summary", "comparison", "missing", "costs")
    tmp_path = tmp_path / "tables"
    write_tables(STEP, STEP.Files(source="0", **read, output_dir=tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {
        "write_tables_manifest.json",
        *("results.csv", "baselines.csv", "comparison.csv", "costs.csv", "training_costs.csv", "answers.csv"),
        *("results.tex", "baselines.tex", "comparison.tex", "costs.tex", "training_costs.tex"),
        "tables.tex",
    }
    for name, columns in COLUMNS.items():
        with (tmp_path / f"{name}.csv").open(newline="") as stream:
            header, *table = csv.reader(stream)
        assert tuple(header) == columns
        assert all(value != "nan" for row in table for value in row)
    with (tmp_path / "results.csv").open(newline="") as stream:
        row = row_of(
            list(csv.DictReader(stream)),
            architecture="densenet",
            fusion="concatenation",
            predictor="fused",
            **{"lambda": "1.0"},
        )
    assert (row["seeds"], row["top1_percent_mean"], row["missing_seeds"]) == ("0", "", "2")
