import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from reporting_study import changed

from certifuse.reporting.fusion.runs import best_epochs, scores


def points(axes: Axes, marker: str, data: str = "y") -> list[float]:
    """All values that lines without a stroke show with this marker."""
    lines = [line for line in axes.lines if line.get_linestyle() == "None" and line.get_marker() == marker]
    return sorted(value for line in lines for value in (line.get_ydata() if data == "y" else line.get_xdata()))


def titled(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title() == title)


def test_lambda_ablation_shows_every_seed(frames, drawn):
    figure = drawn("lambda_ablation", frames)
    accuracy, convergence, losses, ratio, cosine = (figure.axes[2 * row] for row in range(5))
    assert accuracy.get_title() == "resnet"
    fused = scores(frames.summary, "fused", "top1_percent", architecture="resnet")
    best = best_epochs(frames.logs, 0.005).query("architecture == 'resnet'")
    assert points(accuracy, "o") == pytest.approx(sorted(fused["value"]))
    assert points(convergence, "o") == sorted(best["convergence_epoch"])
    assert points(losses, "o") == pytest.approx(sorted([*best["loss_global"], *best["loss_individual_per_expert"]]))
    assert points(ratio, "o") == pytest.approx(sorted(best["loss_ratio"]))
    assert points(cosine, "o") == pytest.approx(sorted(best["path_gradient_cosine"]))
    assert [label.get_text() for label in accuracy.get_xticklabels()] == ["0.5", "1.0"]


def test_lambda_ablation_draws_means_and_averages(frames, drawn):
    axes = titled(drawn("lambda_ablation", frames), "resnet")
    fused = scores(frames.summary, "fused", "top1_percent", architecture="resnet", fusion="multiplicative")
    (means,) = [bars.lines[0].get_ydata() for bars in axes.containers if bars.lines[0].get_marker() == "o"]
    assert list(means) == pytest.approx(list(fused.groupby("lambda")["value"].mean()))
    heights = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    for predictor in ("probability_average_finetuned", "probability_average_before", "single"):
        assert scores(frames.summary, predictor, "top1_percent", architecture="resnet")["value"].mean() in heights


def test_lambda_ablation_marks_cells_that_lack_a_seed(frames, drawn):
    figure = drawn("lambda_ablation", frames)
    assert len(points(titled(figure, "resnet"), "x")) == 1
    assert len(points(titled(figure, "densenet"), "x")) == 1
    assert "no result for one or more seeds" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_fusion_comparison_shows_every_seed(frames, drawn):
    axes = titled(drawn("fusion_comparison", frames), "resnet")
    summary = frames.summary[
        (frames.summary["architecture"] == "resnet") & (frames.summary["metric"] == "top1_percent")
    ]
    cells = summary[(summary["lambda"] == "1.0") & summary["predictor"].isin(["fused", "fused_plus_experts"])]
    averages = summary[summary["predictor"] == "probability_average_after"].query("`lambda` == '1.0'")
    baselines = summary[(summary["fusion"] == "baseline") & ~summary["predictor"].str.startswith("oracle")]
    expected = [*cells["value"], *averages["value"], *baselines["value"]]
    assert points(axes, "|", "x") == pytest.approx(sorted(expected))


def test_a_wider_model_has_a_row_only_where_there_is_one(frames, drawn):
    def labels(shown):
        return [label.get_text() for label in drawn("fusion_comparison", shown).axes[0].get_yticklabels()]

    single = frames.summary[frames.summary["predictor"] == "single"]
    wider = pd.concat([frames.summary, single.assign(predictor="single_wider", value=single["value"] + 1.5)])
    with_wider = changed(frames, summary=wider)
    assert set(labels(with_wider)) - set(labels(frames)) == {"one wider model, all images"}
    axes = titled(drawn("fusion_comparison", with_wider), "resnet")
    shown = single[(single["architecture"] == "resnet") & (single["metric"] == "top1_percent")]["value"]
    assert set(shown + 1.5) <= set(points(axes, "|", "x"))


def test_fusion_comparison_names_a_missing_cell(frames, drawn):
    figure = drawn("fusion_comparison", frames)
    said = [text.get_text() for text in titled(figure, "densenet").texts]
    assert "no result (λ = 1.0)" in said
    assert any(text.endswith("pre-trained (not drawn)") for text in said)  # the oracle


def test_reliability_pools_the_seeds(frames, drawn):
    axes = titled(drawn("reliability", frames), "resnet")
    calibration = frames.calibration[frames.calibration["architecture"] == "resnet"].query(
        "calibrated == 0 and predictor == 'fused' and fusion == 'multiplicative' and `lambda` == '1.0' and count > 0"
    )
    curve = next(line for line in axes.lines if line.get_marker() == "o")
    by_bin = (
        calibration.assign(right=calibration["accuracy"] * calibration["count"])
        .groupby("bin")[["right", "count"]]
        .sum()
    )
    shown = by_bin[by_bin["count"] >= 10]
    assert list(curve.get_ydata()) == pytest.approx(list(shown["right"] / shown["count"]))


def test_training_curves_show_every_epoch_of_every_seed(frames, drawn):
    axes = titled(drawn("training_curves", frames), "resnet")
    runs = frames.logs.query("model_architecture == 'resnet' and `lambda` == '1.0'")
    thin = [line for line in axes.lines if line.get_linewidth() < 1]
    assert sorted(value for line in thin for value in line.get_ydata()) == pytest.approx(sorted(runs["val_accuracy"]))


def test_training_curves_end_the_mean_where_a_seed_ends(frames, drawn):
    shorter = frames.logs[(frames.logs["seed"] == 0) | (frames.logs["epoch"] <= 5)]
    figure = drawn("training_curves", changed(frames, logs=shorter))
    thick = [line for line in titled(figure, "resnet").lines if line.get_linewidth() > 1]
    assert {max(line.get_xdata()) for line in thick if len(line.get_xdata())} == {5}


def test_diversity_shows_what_dropping_an_expert_costs(frames, drawn):
    figure = drawn("diversity", frames)
    summary = frames.summary[(frames.summary["architecture"] == "resnet") & (frames.summary["fusion"] == "baseline")]
    wide = summary.pivot_table(index="seed", columns=["predictor", "metric"], values="value")
    full = wide["probability_average_before"]["top1_percent"]
    expected = [
        full[seed] - wide["experts_before"][f"top1_without_{e}_percent"][seed] for seed in (0, 1) for e in range(4)
    ]
    line = next(line for line in figure.axes[4].lines if line.get_marker() == "|")
    assert sorted(line.get_xdata()) == pytest.approx(sorted(expected))
    disagreement = wide["experts_before"]["disagreement"]
    assert points(figure.axes[0], "|", "x")[-2:] == pytest.approx(sorted(disagreement))
