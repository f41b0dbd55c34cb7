from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from reporting_study import changed, draw_files, step_of

from certifuse.reporting.drawing import drawn as draw
from certifuse.reporting.plot import save
from certifuse.steps.draw_figure import draw_figure
from certifuse.study.figures import figures_of

FIGURES = tuple(figures_of("fusion"))


def said(figure: Figure) -> str:
    """All text of a figure on one line."""
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


def hidden_labels(figure: Figure) -> set[Text]:
    """The labels of ticks outside an axis' limits: they exist and are not drawn."""
    return {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick, place in zip(axis.get_major_ticks(), axis.get_majorticklocs(), strict=True)
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= place <= max(axis.get_view_interval())
    }


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("study", ["frames", "tiny"])
def test_every_axis_is_labelled_and_all_text_is_legible(name, study, request, drawn):
    figure = drawn(name, request.getfixturevalue(study))
    figure.canvas.draw()
    rows = {axes.get_subplotspec().rowspan.start for axes in figure.axes}
    assert {axes.get_subplotspec().rowspan.start for axes in figure.axes if axes.get_ylabel()} == rows
    assert all(axes.get_xlabel() or axes.get_shared_x_axes().get_siblings(axes) != [axes] for axes in figure.axes)

    for text in set(figure.findobj(Text)) - hidden_labels(figure):
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent()
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
            assert inside, f"{text.get_text()!r} at {box} leaves {figure.bbox}"

    labels = [label for axes in figure.axes for label in (axes.xaxis.label, axes.yaxis.label, axes.title)]
    labels += [figure._supxlabel, *(text for legend in figure.legends for text in legend.get_texts())]
    boxes = [(label.get_text(), label.get_window_extent()) for label in labels if label.get_text()]
    for (text, box), (other_text, other) in combinations(boxes, 2):
        assert not box.overlaps(other), f"{text!r} and {other_text!r}"


@pytest.mark.parametrize("name", FIGURES)
def test_equal_inputs_give_equal_bytes_and_another_palette_gives_others(name, tiny, tmp_path):
    plain, red = step_of(name), step_of(name, palette=("#ff0000",) * 6)
    first, second = (draw_files(tiny, plain, tmp_path / run) for run in ("first", "second"))
    for files in (first, second):
        draw_figure(plain, files)
    assert first.png.read_bytes() == second.png.read_bytes()
    assert first.pdf.read_bytes() == second.pdf.read_bytes()
    save(draw(tiny, red), tmp_path / "red.png", red.style)
    assert first.png.read_bytes() != (tmp_path / "red.png").read_bytes()


def test_the_resolution_is_the_settings(tiny, tmp_path):
    sizes = []
    for dpi in (30, 60):
        step = step_of("diversity", dpi=dpi)
        save(draw(tiny, step), tmp_path / "figure.png", step.style)
        with Image.open(tmp_path / "figure.png") as image:
            sizes.append(image.size)
    assert sizes[1] == pytest.approx(2 * np.array(sizes[0]), abs=2)


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_finished_says_so(name, frames, drawn):
    empty = changed(frames, **{table: getattr(frames, table).iloc[:0] for table in vars(frames) if table != "missing"})
    figure = drawn(name, empty)
    assert "no cell of the grid has a result yet" in said(figure)
    assert "2 missing: training failed: out of memory" in said(figure)


@pytest.mark.parametrize("name", FIGURES)
def test_missing_cells_are_counted(name, frames, drawn):
    assert "3 of 16 cells have no result" in said(drawn(name, frames))


@pytest.mark.parametrize("name", FIGURES)
def test_only_fused_models(name, frames, drawn):
    """A study without baselines, calibration and logs is drawn with what there is."""
    nothing = {table: getattr(frames, table).iloc[:0] for table in ("logs", "calibration", "comparison")}
    bare = changed(frames, summary=frames.summary[frames.summary["predictor"] == "fused"], **nothing)
    drawn(name, bare).canvas.draw()
