from collections.abc import Iterator

import matplotlib.figure
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from PIL import Image

from certifuse.recipes.draw_figure import draw_figure
from certifuse.reporting.figures import FIGURES, draw
from certifuse.reporting.frames import Frames
from certifuse.reporting.runs import best_epochs, scores
from certifuse.reporting.style import FigureStep
from certifuse.settings.evaluation import StatisticsSettings
from certifuse.settings.figures import FIGURES as CONFIGURED
from certifuse.settings.figures import FigureSettings

RED = "#ff0000"


def step_with(**style: object) -> FigureStep:
    return FigureStep(study="digits", style=FigureSettings(**{"dpi": 40, **style}), statistics=StatisticsSettings())


def drawn(name: str, frames: Frames) -> matplotlib.figure.Figure:
    return draw(name, frames, step_with())


def points(axes: Axes, marker: str, data: str = "y") -> list[float]:
    """All values that lines without a stroke show with this marker."""
    lines = [line for line in axes.lines if line.get_linestyle() == "None" and line.get_marker() == marker]
    return sorted(value for line in lines for value in (line.get_ydata() if data == "y" else line.get_xdata()))


def texts(figure: matplotlib.figure.Figure) -> Iterator[Text]:
    figure.canvas.draw()
    yield from (text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip())


def titled(figure: matplotlib.figure.Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title() == title)


def test_every_configured_figure_exists():
    assert tuple(FIGURES) == CONFIGURED


# ---- every figure --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("study", ["frames", "tiny"])
def test_every_axis_is_labelled_and_no_text_leaves_the_figure(name, study, request):
    figure = drawn(name, request.getfixturevalue(study))
    rows = {axes.get_subplotspec().rowspan.start for axes in figure.axes}
    labelled = {axes.get_subplotspec().rowspan.start for axes in figure.axes if axes.get_ylabel()}
    assert labelled == rows
    assert all(axes.get_xlabel() or axes.get_shared_x_axes().get_siblings(axes) != [axes] for axes in figure.axes)
    for text in texts(figure):
        box = text.get_window_extent()
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert inside, f"{text.get_text()!r} at {box} leaves {figure.bbox}"


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("study", ["frames", "tiny"])
def test_labels_do_not_overlap(name, study, request):
    figure = drawn(name, request.getfixturevalue(study))
    figure.canvas.draw()
    labels = [label for axes in figure.axes for label in (axes.xaxis.label, axes.yaxis.label, axes.title)]
    labels += [figure._supxlabel, *(text for legend in figure.legends for text in legend.get_texts())]
    boxes = [(label.get_text(), label.get_window_extent()) for label in labels if label.get_text()]
    for place, (text, box) in enumerate(boxes):
        for other_text, other in boxes[place + 1 :]:
            assert not box.overlaps(other), f"{text!r} and {other_text!r}"


@pytest.mark.parametrize("name", FIGURES)
def test_equal_inputs_give_equal_bytes_and_a_palette_other_bytes(name, tiny, tmp_path):
    def files(run: str, **style: object) -> tuple[bytes, bytes]:
        png, pdf = tmp_path / f"{run}.png", tmp_path / f"{run}.pdf"
        draw_figure(step_with(**style), name, tiny, png, pdf)
        return png.read_bytes(), pdf.read_bytes()

    first = files("first")
    assert first == files("second")
    assert first[0] != files("red", palette=(RED,) * 6)[0]
    assert first[0] != files("grey", baseline_colour="#bbbbbb")[0] or name in {"training_curves"}


def test_the_resolution_is_the_settings(tiny, tmp_path):
    sizes = []
    for dpi in (40, 80):
        draw_figure(step_with(dpi=dpi), "diversity", tiny, tmp_path / "figure.png", tmp_path / "figure.pdf")
        with Image.open(tmp_path / "figure.png") as image:
            sizes.append(image.size)
    assert sizes[1] == pytest.approx(2 * np.array(sizes[0]), abs=2)


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_finished_says_so(name, frames):
    empty = Frames(
        summary=frames.summary.iloc[:0],
        logs=frames.logs.iloc[:0],
        calibration=frames.calibration.iloc[:0],
        comparison=frames.comparison.iloc[:0],
        missing=frames.missing,
    )
    said = " ".join(text.get_text() for text in texts(drawn(name, empty)))
    assert "no cell of the grid has a result yet" in said
    assert "2 missing: training failed: out of memory" in said


@pytest.mark.parametrize("name", FIGURES)
def test_missing_cells_are_counted(name, frames):
    said = " ".join(text.get_text() for text in texts(drawn(name, frames))).replace("\n", " ")
    assert "3 of 16 cells have no result" in said


@pytest.mark.parametrize("name", FIGURES)
def test_only_fused_models(name, frames):
    """A study without baselines, calibration and logs is drawn with what there is."""
    bare = Frames(
        summary=frames.summary[frames.summary["predictor"] == "fused"],
        logs=frames.logs.iloc[:0],
        calibration=frames.calibration.iloc[:0],
        comparison=frames.comparison.iloc[:0],
        missing=frames.missing,
    )
    drawn(name, bare).canvas.draw()


# ---- what they show ------------------------------------------------------------------------------


def test_lambda_ablation_shows_every_seed(frames):
    figure = drawn("lambda_ablation", frames)
    accuracy, convergence, losses, ratio = (figure.axes[2 * row] for row in range(4))
    assert accuracy.get_title() == "resnet"
    fused = scores(frames.summary, "fused", "top1_percent", architecture="resnet")
    best = best_epochs(frames.logs, 0.005).query("architecture == 'resnet'")
    assert points(accuracy, "o") == pytest.approx(sorted(fused["value"]))
    assert points(convergence, "o") == sorted(best["convergence_epoch"])
    assert points(losses, "o") == pytest.approx(sorted([*best["loss_global"], *best["loss_individual_per_expert"]]))
    assert points(ratio, "o") == pytest.approx(sorted(best["loss_ratio"]))
    assert [label.get_text() for label in accuracy.get_xticklabels()] == ["0.5", "1.0"]


def test_lambda_ablation_draws_means_and_averages(frames):
    axes = titled(drawn("lambda_ablation", frames), "resnet")
    fused = scores(frames.summary, "fused", "top1_percent", architecture="resnet", fusion="multiplicative")
    (means,) = [bars.lines[0].get_ydata() for bars in axes.containers if bars.lines[0].get_marker() == "o"]
    assert list(means) == pytest.approx(list(fused.groupby("lambda")["value"].mean()))
    heights = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    for predictor in ("probability_average_finetuned", "probability_average_before", "single"):
        assert scores(frames.summary, predictor, "top1_percent", architecture="resnet")["value"].mean() in heights


def test_lambda_ablation_marks_cells_that_lack_a_seed(frames):
    figure = drawn("lambda_ablation", frames)
    assert len(points(titled(figure, "resnet"), "x")) == 1
    assert len(points(titled(figure, "densenet"), "x")) == 1
    assert "no result for one or more seeds" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_fusion_comparison_shows_every_seed(frames):
    axes = titled(drawn("fusion_comparison", frames), "resnet")
    summary = frames.summary[
        (frames.summary["architecture"] == "resnet") & (frames.summary["metric"] == "top1_percent")
    ]
    cells = summary[(summary["lambda"] == "1.0") & summary["predictor"].isin(["fused", "fused_plus_experts"])]
    averages = summary[summary["predictor"] == "probability_average_after"].query("`lambda` == '1.0'")
    baselines = summary[(summary["fusion"] == "baseline") & ~summary["predictor"].str.startswith("oracle")]
    expected = [*cells["value"], *averages["value"], *baselines["value"]]
    assert points(axes, "|", "x") == pytest.approx(sorted(expected))


def test_fusion_comparison_names_a_missing_cell(frames):
    figure = drawn("fusion_comparison", frames)
    said = [text.get_text() for text in titled(figure, "densenet").texts]
    assert "no result (λ = 1.0)" in said
    assert any(text.endswith("pre-trained (not drawn)") for text in said)  # the oracle


def test_reliability_pools_the_seeds(frames):
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


def test_training_curves_show_every_epoch_of_every_seed(frames):
    axes = titled(drawn("training_curves", frames), "resnet")
    runs = frames.logs.query("model_architecture == 'resnet' and `lambda` == '1.0'")
    thin = [line for line in axes.lines if line.get_linewidth() < 1]
    assert sorted(value for line in thin for value in line.get_ydata()) == pytest.approx(sorted(runs["val_accuracy"]))


def test_training_curves_end_the_mean_where_a_seed_ends(frames):
    shorter = frames.logs[(frames.logs["seed"] == 0) | (frames.logs["epoch"] <= 5)]
    figure = drawn("training_curves", Frames(**{**vars(frames), "logs": shorter}))
    thick = [line for line in titled(figure, "resnet").lines if line.get_linewidth() > 1]
    assert {max(line.get_xdata()) for line in thick if len(line.get_xdata())} == {5}


def test_diversity_shows_what_dropping_an_expert_costs(frames):
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
