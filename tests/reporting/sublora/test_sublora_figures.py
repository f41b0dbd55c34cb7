from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from reporting_study import draw_files, step_of

from certifuse.reporting.drawing import drawn as draw
from certifuse.reporting.frames import Frames
from certifuse.reporting.plot import save
from certifuse.reporting.sublora.choice import compared_rows
from certifuse.reporting.sublora.frames import allocated_rows, compared_budgets
from certifuse.reporting.sublora.modes import mode_looks
from certifuse.steps.draw_figure import draw_figure
from certifuse.study.figures import figures_of
from certifuse.study.settings.figures import FigureSettings

OF_BUDGET = [name for name, figure in figures_of("sublora").items() if figure.budgets is not None]
OF_STUDY = [name for name, figure in figures_of("sublora").items() if figure.budgets is None]

JOBS = [
    *((name, 1000) for name in OF_BUDGET),
    *((name, 2000) for name in OF_BUDGET),
    *((name, None) for name in OF_STUDY),
]
TINY = [*((name, 256) for name in OF_BUDGET), *((name, None) for name in OF_STUDY)]


def said(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


def points(axes: Axes, data: str = "y", **wanted: object) -> list[float]:
    """All values of the lines without a stroke that have these properties."""
    getters = {
        "ms": "get_markersize",
        "marker": "get_marker",
        "mfc": "get_markerfacecolor",
        "mec": "get_markeredgecolor",
    }
    lines = [line for line in axes.lines if line.get_linestyle() == "None"]
    lines = [line for line in lines if all(getattr(line, getters[key])() == value for key, value in wanted.items())]
    return sorted(float(value) for line in lines for value in (line.get_ydata() if data == "y" else line.get_xdata()))


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title().startswith(title))


@pytest.mark.parametrize(
    ("source", "name", "budget"), [("frames", *job) for job in JOBS] + [("tiny", *job) for job in TINY]
)
def test_every_axis_is_labelled_and_all_text_is_legible(source, name, budget, request, drawn):
    figure = drawn(name, request.getfixturevalue(source), budget)
    figure.canvas.draw()
    shown = [axes for axes in figure.axes if axes.axison and axes.get_subplotspec() is not None]
    rows = {axes.get_subplotspec().rowspan.start for axes in shown if axes.get_label() != "<colorbar>"}
    if name != "learned_gating_heatmap":
        assert {axes.get_subplotspec().rowspan.start for axes in shown if axes.get_ylabel()} >= rows
    labels = [label for axes in figure.axes for label in (axes.xaxis.label, axes.yaxis.label, axes.title)]
    labels += [figure._supxlabel] if figure._supxlabel else []
    labels += [text for legend in figure.legends for text in legend.get_texts()]
    boxes = [(label.get_text(), label.get_window_extent()) for label in labels if label.get_text()]
    for text, box in boxes:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert inside, f"{text!r} at {box} leaves {figure.bbox}"
    for (text, box), (other_text, other) in combinations(boxes, 2):
        assert not box.overlaps(other), f"{text!r} and {other_text!r}"
    for axes in shown:
        for axis in (axes.xaxis, axes.yaxis):
            ticks = [label.get_window_extent() for label in axis.get_ticklabels() if label.get_text()]
            low, high = sorted(axis.get_view_interval())
            drawn_ticks = [box for box, place in zip(ticks, axis.get_ticklocs(), strict=False) if low <= place <= high]
            assert not any(one.overlaps(other) for one, other in combinations(drawn_ticks, 2))


@pytest.mark.parametrize(("name", "budget"), TINY)
def test_equal_inputs_give_equal_bytes(name, budget, tiny, tmp_path):
    first, second = (draw_files(tiny, step_of(name, budget), tmp_path / run) for run in ("first", "second"))
    for files in (first, second):
        draw_figure(step_of(name, budget), files)
    assert first.png.read_bytes() == second.png.read_bytes()
    assert first.pdf.read_bytes() == second.pdf.read_bytes()


@pytest.mark.parametrize("name", ["pareto_frontier", "allocation_comparison_grid"])
def test_another_palette_gives_other_bytes(name, tiny, tmp_path):
    budget = 256 if name in OF_BUDGET else None
    for run, style in (("first", {}), ("red", {"palette": ("#ff0000",) * 6})):
        step = step_of(name, budget, **style)
        save(draw(tiny, step), tmp_path / f"{run}.png", step.style)
    assert (tmp_path / "first.png").read_bytes() != (tmp_path / "red.png").read_bytes()


@pytest.mark.parametrize(("name", "budget"), [(name, budget and budget // 10) for name, budget in JOBS])
def test_nothing_finished_says_so(name, budget, none_finished, drawn):
    text = said(drawn(name, none_finished, budget))
    assert "no null of learned gates" in text if name == "gating_nulls" else "interrupted" in text


@pytest.mark.parametrize(("name", "budget"), [(name, budget) for name, budget in JOBS if "learned_gating" not in name])
def test_missing_certificates_are_counted_with_their_reason(name, budget, frames, drawn):
    text = said(drawn(name, frames, budget))
    counts = {None: "15 of 192", 1000: "3 of 90", 2000: "12 of 90"}
    assert f"{counts[budget]} certificates are missing" in text
    assert "not finished" in text


# ---- contents ------------------------------------------------------------------------------------


def test_the_pareto_panels_show_every_seed_and_the_means(frames, drawn):
    figure = drawn("pareto_frontier", frames, 2000)
    looks = mode_looks(set(frames.metrics.query("model == 'sublora'")["mode"]), FigureSettings())
    rows = allocated_rows(frames.metrics, 2000)
    for axes, levels in zip(figure.axes, (3, 7, 11), strict=True):
        of_levels = rows[rows["levels"] == levels]
        assert points(axes, ms=3.4) == pytest.approx(sorted(of_levels["risk_bpd"]))
        assert points(axes, "x", ms=3.4) == pytest.approx(sorted(of_levels["kl_nats"]))
        assert points(axes, ms=7) == pytest.approx(sorted(of_levels.groupby("mode")["risk_bpd"].mean()))
        learned = of_levels[of_levels["mode"] == "learned"]["risk_bpd"]
        assert points(axes, ms=7, marker=looks["learned"].marker) == pytest.approx([learned.mean()])
    assert figure.axes[0].get_title() == "d = 2,000, L = 3 (lowest mean bound)"


def test_both_bounds_stand_on_the_same_models_and_the_vacuous_line_above(frames, drawn):
    _, bound, size = drawn("compression_comparison", frames, 1000).axes
    rows = allocated_rows(frames.metrics, 1000)
    means = rows.groupby(["mode", "levels"])[["bound_best_bpd", "bound_published_bpd", "risk_bpd"]].mean()
    joined = [line for line in bound.lines if line.get_markersize() == 5.5]
    for column, filled in (("bound_best_bpd", True), ("bound_published_bpd", False)):
        lines = [line for line in joined if (line.get_markerfacecolor() != "white") == filled]
        assert {line.get_linestyle() for line in lines} == {"-"}
        shown = sorted(value for line in lines for value in line.get_ydata())
        assert shown == pytest.approx(sorted(means[column]))
    for axes in (bound, size):
        (vacuous,) = [line for line in axes.lines if list(line.get_xdata()) == [0, 1]]
        assert list(vacuous.get_ydata()) == [8.0, 8.0]
        assert axes.get_ylim()[0] < 8.0 < axes.get_ylim()[1]


def test_the_size_panel_is_logarithmic_with_dashed_risks(frames, drawn):
    *_, size = drawn("compression_comparison", frames, 1000).axes
    assert size.get_xscale() == "log"
    risks = [line for line in size.lines if line.get_markersize() == 3.5]
    assert {line.get_linestyle() for line in risks} == {"--"}
    expected = allocated_rows(frames.metrics, 1000).groupby(["mode", "levels"])["code_bits"].mean() / 8000
    shown = {round(float(value), 9) for line in risks for value in line.get_xdata()}
    assert shown >= {round(value, 9) for value in expected}
    assert "LoRA only" in said(size.figure)


def test_the_grid_shows_the_compared_certificates_and_paired_gains(frames, drawn):
    figure = drawn("allocation_comparison_grid", frames)
    rows = compared_rows(frames.metrics, 1000).query("not mode.str.startswith('learned_')")
    allocated = rows[rows["mode"] != "subspace_only"]
    blue = FigureSettings().palette[0]
    of_budget = {"ms": 2.8, "mfc": blue}
    assert points(panel(figure, "risk"), "x", **of_budget) == pytest.approx(sorted(allocated["risk_bpd"]))
    both = sorted([*rows["bound_best_bpd"], *rows["bound_published_bpd"]])
    assert points(panel(figure, "bounds"), "x", **of_budget) == pytest.approx(both)
    assert points(panel(figure, "compressed size"), "x", **of_budget) == pytest.approx(sorted(rows["code_bits"] / 8000))
    bounds = rows.pivot(index="seed", columns="mode", values="bound_best_bpd")
    gains = [100 * (1 - bounds[mode] / bounds["proportional"]).dropna() for mode in bounds if mode != "proportional"]
    shown = points(panel(figure, "relative"), "x", **of_budget)
    inside = np.concatenate([gain for gain in gains if gain.mean() > -10])
    assert shown == pytest.approx(sorted(inside))
    assert "missing: training failed: out of memory" in said(figure)
    assert any("▸" in text.get_text() for text in panel(figure, "risk").texts)  # subspace only, out of view


def test_the_grid_leaves_out_a_budget_with_one_allocation(frames):
    """As a sweep over d has them; and its reference is the baseline that most models have."""
    mode, d = frames.metrics["mode"], frames.metrics["d"]
    keep = ~((d == 2000) & (mode != "uniform")) & ~((mode == "proportional") & (frames.metrics["seed"] != 42))
    swept = Frames(metrics=frames.metrics[keep.fillna(True)], gates=frames.gates, missing=frames.missing.iloc[:0])
    assert compared_budgets(frames) == [1000, 2000]
    assert compared_budgets(swept) == [1000]
    figure = draw(swept, step_of("allocation_comparison_grid"))
    text = said(figure)
    assert "d = 1,000" in text
    assert "d = 2,000" not in text
    assert "our bound below that of uniform (%)" in text
    assert "not in the grid" not in text


def test_heatmap_cells_are_gammas_with_their_number(frames, drawn):
    figure = drawn("learned_gating_heatmap", frames, 2000)
    gates = frames.gates.query("d == 2000 and mode == 'learned'")
    layers = gates[gates["group"] != "head"].pivot(index="seed", columns="depth", values="gamma")
    above, head, mean, _ = (axes for axes in figure.axes if axes.get_label() != "<colorbar>")
    cells = {axes: axes.collections[0] for axes in (above, head, mean)}
    assert np.asarray(cells[above].get_array()) == pytest.approx(layers.to_numpy())
    assert [text.get_text() for text in above.texts] == [f"{share:.2f}" for share in layers.to_numpy().ravel()]
    assert np.asarray(cells[mean].get_array())[0] == pytest.approx(layers.mean().to_numpy())
    assert cells[head].get_array().shape == (3, 1)
    assert [label.get_text() for label in above.get_yticklabels()] == ["42", "123", "999"]
    assert cells[above].get_clim() == (0.0, 1.0)


def test_a_missing_row_of_the_heatmap_says_why(frames, drawn):
    above = drawn("learned_gating_heatmap", frames, 1000).axes[0]
    assert above.collections[0].get_array().mask[2].all()
    assert "missing: not finished" in [text.get_text() for text in above.texts]


def test_the_trend_shows_means_spread_and_one_half(frames, drawn):
    layers, head = drawn("learned_gating_trend", frames).axes
    gates = frames.gates.query("d == 2000 and mode == 'learned' and group != 'head'")
    by_depth = gates.groupby("depth")["gamma"]
    bars = layers.containers[1]
    assert list(bars.lines[0].get_ydata()) == pytest.approx(list(by_depth.mean()))
    band = layers.collections[2].get_paths()[0].vertices  # band and bars of the first budget come before
    assert band[:, 1].max() == pytest.approx((by_depth.mean() + by_depth.std()).max())
    halves = [line for axes in (layers, head) for line in axes.lines if list(line.get_ydata()) == [0.5, 0.5]]
    assert len(halves) == 2
    assert "Slope of γ per layer (95% t interval): d = 1,000: +0.049" in said(layers.figure)


def test_the_frontier_shows_every_certificate_and_names_the_tables(frames, drawn):
    risk, ours, published = drawn("sublora_frontier", frames).axes
    models = frames.metrics[frames.metrics["model"] == "sublora"]
    swept = models[~models["mode"].str.contains("learned_|only")]
    for axes, column in ((risk, "risk_bpd"), (ours, "bound_best_bpd"), (published, "bound_published_bpd")):
        assert points(axes, ms=3.8) == pytest.approx(sorted(swept[column]))
    assert [text.get_text() for text in risk.texts] == ["unigram", "bigram", "1,000", "2,000"]
    assert [text.get_text() for text in ours.texts] == ["unigram"]  # the bigram table's bound is vacuous
    steps = next(line for line in risk.lines if line.get_drawstyle() == "steps-post")
    assert list(np.diff(steps.get_ydata()) <= 0) == [True] * (len(steps.get_ydata()) - 1)
    assert f"Lowest bound: {swept['bound_best_bpd'].min():.3f} bits per token" in said(risk.figure)


def test_nulls_stand_beside_learned_gates_seed_by_seed(frames, drawn):
    figure = drawn("gating_nulls", frames)
    axes = panel(figure, "d = 1,000")
    rows = compared_rows(frames.metrics, 1000)
    rows = rows[rows["mode"].str.startswith("learned")]
    assert points(axes, ms=2.8) == pytest.approx(sorted(rows["validation_bpd"]))
    assert points(axes, ms=7) == pytest.approx(sorted(rows.groupby("mode")["validation_bpd"].mean()))
    assert [label.get_text().split()[0] for label in axes.get_xticklabels()] == [
        "learned",
        "splits",
        "splits",
        "random",
    ]
    pair = rows.pivot(index="seed", columns="mode", values="validation_bpd").dropna()
    difference = (pair["learned"] - pair["learned_random"]).mean()
    assert f"−{-difference:.3f}\np = 0.1" in axes.texts[-1].get_text()


def test_a_study_without_nulls_says_so(frames, drawn):
    keep = ~frames.metrics["mode"].str.startswith("learned_")
    missing = frames.missing[~frames.missing["mode"].str.startswith("learned_")]
    bare = Frames(metrics=frames.metrics[keep], gates=frames.gates, missing=missing)
    assert "no null of learned gates in the grid" in said(drawn("gating_nulls", bare))


def test_bounds_above_the_vacuous_line_are_shown_up_to_a_limit(tiny, drawn):
    wild = tiny.metrics.assign(bound_published_bpd=[8.5, 40.0])
    frames = Frames(metrics=wild, gates=tiny.gates, missing=tiny.missing)
    bound = drawn("compression_comparison", frames, 256).axes[1]
    assert 8.5 < bound.get_ylim()[1] < 12
    assert "Not drawn: 1 of the bounds, above 8.5 (learned)." in said(bound.figure)
