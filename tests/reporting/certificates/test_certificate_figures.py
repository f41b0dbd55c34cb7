from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from reporting_study import draw_files, step_of

from certifuse.evaluation.bounds.binomial import clopper_pearson
from certifuse.evaluation.bounds.kl import kl_occam
from certifuse.reporting.certificates.choice import crossings
from certifuse.reporting.certificates.iso_lines import ISO_LINE
from certifuse.reporting.drawing import drawn as draw
from certifuse.reporting.frames import Frames
from certifuse.reporting.plot import save
from certifuse.steps.draw_figure import draw_figure
from certifuse.study.figures import figures_of
from certifuse.study.settings.figures import FigureSettings

FIGURES = tuple(figures_of("certificates"))

PALETTE, GREY = FigureSettings().palette, FigureSettings().baseline_colour


def said(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


def lines(axes: Axes, **wanted: object) -> list[Line2D]:
    """The lines with these properties (`color`, `ls`, `marker`, `mfc`)."""
    getters = {"color": lambda line: to_hex(line.get_color()).upper(), "ls": lambda line: line.get_linestyle()}
    getters |= {"marker": lambda line: line.get_marker(), "mfc": lambda line: line.get_markerfacecolor()}
    return [line for line in axes.lines if all(getters[name](line) == value for name, value in wanted.items())]


def without(frames: Frames, query: str) -> Frames:
    return Frames(certificates=frames.certificates.query(f"not ({query})"), ledgers=frames.ledgers)


def without_held_out(frames: Frames) -> Frames:
    empty = dict.fromkeys([name for name in frames.certificates if name.startswith("held_out_")], np.nan)
    return Frames(certificates=frames.certificates.assign(**empty), ledgers=frames.ledgers)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("source", ["study", "one", "long_names"])
def test_every_axis_is_labelled_and_all_text_is_legible(name, source, request, make, drawn):
    if source == "long_names":
        frames = make(architectures=("resnet", "densenet", "resnext"), fusions=("TransformerBase",), schemes=("iid",))
        renamed = frames.certificates.replace({"fusion": {"TransformerBase": "multiplicativeAddition"}})
        renamed = renamed.replace({"architecture": {"resnet": "improved_wide_resnet"}})
        frames = Frames(certificates=renamed, ledgers=frames.ledgers)
    else:
        frames = request.getfixturevalue(source)
    figure = drawn(name, frames)
    figure.canvas.draw()
    shown = [axes for axes in figure.axes if axes.axison]
    rows = {axes.get_subplotspec().rowspan.start for axes in shown}
    assert {axes.get_subplotspec().rowspan.start for axes in shown if axes.get_ylabel()} == rows
    assert all(axes.get_xlabel() for axes in shown)
    labels = [label for axes in shown for label in (axes.xaxis.label, axes.yaxis.label, axes.title)]
    labels += [figure._supxlabel] if figure._supxlabel else []
    labels += [text for legend in figure.legends for text in legend.get_texts()]
    boxes = [(label.get_text(), label.get_window_extent()) for label in labels if label.get_text()]
    for text, box in boxes:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert inside, f"{text!r} at {box} leaves {figure.bbox}"
    for (text, box), (other_text, other) in combinations(boxes, 2):
        assert not box.overlaps(other), f"{text!r} and {other_text!r}"


@pytest.mark.parametrize("name", FIGURES)
def test_equal_inputs_give_equal_bytes_and_another_palette_gives_others(name, make, tmp_path):
    frames = make(lambdas=("0.5", "1.0"), dimensions=(16, 256), levels=(3,))
    plain, red = step_of(name), step_of(name, palette=("#ff0000",) * 6)
    first, second = (draw_files(frames, plain, tmp_path / run) for run in ("first", "second"))
    for files in (first, second):
        draw_figure(plain, files)
    assert first.png.read_bytes() == second.png.read_bytes()
    assert first.pdf.read_bytes() == second.pdf.read_bytes()
    save(draw(frames, red), tmp_path / "red.png", red.style)
    assert first.png.read_bytes() != (tmp_path / "red.png").read_bytes()


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("rows", ["none", "prior", "joint", "one_subspace"])
def test_next_to_nothing_is_drawn_or_said(name, rows, one, drawn):
    kept = {"none": [], "prior": [0], "joint": [len(one.certificates) - 1], "one_subspace": [1]}[rows]
    figure = drawn(name, Frames(certificates=one.certificates.loc[kept], ledgers=one.ledgers))
    figure.canvas.draw()
    nothing = "yet" in said(figure) or "no fusion rule has certificates at more than one λ" in said(figure)
    expected = rows == "none" or name == "certified_vs_lambda"
    expected |= rows in {"prior", "joint"} and name != "certified_vs_test"
    assert nothing == expected


# ---- certified_vs_dimension ----------------------------------------------------------------------


def test_dimension_shows_bound_risk_and_held_out_certificate_of_every_level(one, drawn):
    (axes,) = drawn("certified_vs_dimension", one).axes
    trained = one.certificates.query("kind == 'subspace'")
    for colour, marker, levels in zip(PALETTE, "os", (3, 11), strict=False):
        rows = trained[trained["levels"] == levels].sort_values("d")
        certified, held_out, risk = lines(axes, color=colour, marker=marker)
        assert list(certified.get_xdata()) == [16, 64, 256, 1024]
        for line, column in ((certified, "bound"), (held_out, "held_out_bound"), (risk, "risk")):
            assert list(line.get_ydata()) == pytest.approx(list(rows[f"{column}_percent"]))
        assert len({line._unscaled_dash_pattern for line in (certified, held_out, risk)}) == 3
        assert (certified.get_markerfacecolor(), held_out.get_markerfacecolor()) == (colour, "white")
    assert axes.get_xscale() == "log"


def test_dimension_shows_the_prior_and_rings_the_crossing(one, drawn):
    (axes,) = drawn("certified_vs_dimension", one).axes
    prior = one.certificates.iloc[0]
    heights = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    assert heights == pytest.approx([prior["bound_percent"], prior["risk_percent"]])
    (ring,) = lines(axes, mfc="none")
    (crossing,) = crossings(one.certificates)
    assert [ring.get_xdata()[0], ring.get_ydata()[0]] == [crossing.row["d"], crossing.row["bound_percent"]]
    assert axes.get_title() == f"resnet, concatenation\ncrosses at d = {crossing.row['d']}"


def test_dimension_says_where_no_dimension_crosses(make, drawn):
    frames = make(schemes=("iid",))
    figure = drawn("certified_vs_dimension", frames)
    (crossing,) = crossings(frames.certificates)
    expected = f"no d crosses (nearest {crossing.margin_points:+.1f} points at d = {crossing.row['d']})"
    assert expected in said(figure)
    assert not lines(figure.axes[0], mfc="none")
    assert "crosses the prior's" not in said(figure)


def test_dimension_joins_means_over_seeds_and_counts_those_that_cross(make, drawn):
    frames = make(seeds=(0, 1, 2), levels=(3,))
    figure = drawn("certified_vs_dimension", frames)
    trained = frames.certificates.query("kind == 'subspace'")
    certified = lines(figure.axes[0], color=PALETTE[0], ls="-")[0]
    assert list(certified.get_ydata()) == pytest.approx(list(trained.groupby("d")["bound_percent"].mean()))
    (ranges,) = [found for found in figure.axes[0].collections if found.get_label() != "_band"]
    first = trained[trained["d"] == 16]["bound_percent"]
    assert ranges.get_segments()[0][:, 1] == pytest.approx([first.min(), first.max()])
    assert "(3 of 3 seeds)" in said(figure)
    assert "means over seeds, which certify nothing" in said(figure)


def test_what_is_missing_is_absent_and_noted(study, drawn):
    figure = drawn("certified_vs_dimension", without_held_out(study))
    assert "No held-out certificates" in said(figure)
    assert "trained: held-out certificate" not in said(figure)
    partial = without(study, "kind == 'subspace' and d == 64 and levels == 3 and seed == 1 and scheme == 'iid'")
    assert "2 of 64 (d, L, seed) have no certificate" in said(drawn("certified_vs_dimension", partial))
    assert "have no certificate" not in said(drawn("certified_vs_dimension", study))
    assert "prior not certified" in said(drawn("certified_vs_dimension", without(study, "kind == 'prior'")))


# ---- certified_vs_lambda -------------------------------------------------------------------------


def test_lambda_shows_every_seed_at_its_best_levels(study, drawn):
    figure = drawn("certified_vs_lambda", study)
    axes = next(axes for axes in figure.axes if axes.get_title() == "resnet, iid, concatenation")
    rows = study.certificates.query("kind == 'subspace' and scheme == 'iid' and fusion == 'concatenation'")
    best = rows.groupby(["d", "lambda", "seed"])["bound_percent"].min()
    dots = sorted(value for line in lines(axes, marker=".") for value in line.get_ydata())
    assert dots == pytest.approx(sorted(best))
    (means,) = lines(axes, color=PALETTE[1], marker="s")
    assert list(means.get_ydata()) == pytest.approx(list(best[64].groupby("lambda").mean()))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5", "1.0"]


def test_lambda_leaves_out_rules_with_one_lambda(study, drawn):
    figure = drawn("certified_vs_lambda", without(study, "fusion == 'multiplicative' and `lambda` == '0.5'"))
    assert {axes.get_title().split(", ")[-1] for axes in figure.axes} == {"concatenation"}
    assert "2 of 4 rules have certificates at one λ only" in said(figure)


# ---- certificate_frontier ------------------------------------------------------------------------


def test_frontier_steps_through_what_nothing_beats(one, drawn):
    (axes,) = drawn("certificate_frontier", one).axes
    models = one.certificates.query("kind != 'joint'")
    (steps,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    points = list(zip(models["code_bits"], models["risk_percent"], strict=True))
    unbeaten = sorted(p for p in points if not any(o != p and o[0] <= p[0] and o[1] <= p[1] for o in points))
    assert [tuple(place) for place in steps.get_xydata()[:-1]] == unbeaten
    assert steps.get_xydata()[0][0] == 0.0
    assert steps.get_xydata()[-1] == pytest.approx([axes.get_xlim()[1], unbeaten[-1][1]])
    shown = [p for line in axes.lines if line.get_marker() in {"o", "s"} and line.get_ls() == "None" for p in points]
    assert shown


def test_frontier_has_iso_lines_of_the_kl_bound_for_its_sample(one, drawn):
    (axes,) = drawn("certificate_frontier", one).axes
    isos = lines(axes, color=str(ISO_LINE["color"]).upper())
    assert len(isos) >= 4
    for iso in isos:
        places = iso.get_xydata()[np.isfinite(iso.get_ydata())][::40]
        certified = [100 * kl_occam(risk / 100, bits, 10_000, 0.05) for bits, risk in places]
        assert certified == pytest.approx([certified[0]] * len(certified), abs=1e-9)
        assert certified[0] == pytest.approx(round(certified[0], 1))


def test_frontier_rings_the_best_certificate_of_every_seed(study, drawn):
    axes = drawn("certificate_frontier", study).axes[-1]
    rows = study.certificates.query(
        "kind == 'subspace' and scheme == 'by_class' and fusion == 'concatenation' and `lambda` == '1.0'"
    )
    best = rows.loc[rows.groupby("seed")["bound_percent"].idxmin()]
    (ring,) = lines(axes, mfc="none")
    assert sorted(ring.get_ydata()) == pytest.approx(sorted(best["risk_percent"]))
    assert len([line for line in axes.lines if line.get_drawstyle() == "steps-post"]) == 2


# ---- certified_vs_test ---------------------------------------------------------------------------


def test_test_error_against_each_kind_of_certificate(study, drawn):
    axes = next(axes for axes in drawn("certified_vs_test", study).axes if axes.get_title() == "resnet, by_class")
    rows = study.certificates.query("scheme == 'by_class' and `lambda` in ['', '1.0']")
    best = rows[rows["kind"] == "subspace"]
    best = best.loc[best.groupby(["fusion", "seed"])["bound_percent"].idxmin()]
    priors, joint = rows[rows["kind"] == "prior"], rows[rows["kind"] == "joint"]
    marks = [line for line in axes.lines if line.get_linestyle() == "None"]
    stars = [line for line in marks if line.get_marker() == "*"]
    hollow = [line for line in marks if line.get_markerfacecolor() == "white"]
    filled = [line for line in marks if line not in stars and line not in hollow]
    for found, expected, column in (
        (stars, priors, "bound_percent"),
        (hollow, joint, "held_out_bound_percent"),
        (filled, best, "bound_percent"),
    ):
        places = sorted((line.get_xdata()[0], line.get_ydata()[0]) for line in found)
        assert places == sorted(zip(expected["test_percent"], expected[column], strict=True))
    assert len({line.get_marker() for line in filled}) == 2
    (diagonal,) = [line for line in axes.lines if list(line.get_xdata()) == [0, 100]]
    assert list(diagonal.get_ydata()) == [0, 100]


def test_bars_are_intervals_of_the_test_error(one, drawn):
    (axes,) = drawn("certified_vs_test", one).axes
    prior = one.certificates.iloc[0]
    errors, examples = int(prior["test_errors"]), int(prior["test_examples"])
    bar = next(line for line in axes.lines if list(line.get_ydata()) == [prior["bound_percent"]] * 2)
    low, high = 1 - clopper_pearson(examples - errors, examples, 0.025), clopper_pearson(errors, examples, 0.025)
    assert list(bar.get_xdata()) == pytest.approx([100 * low, 100 * high])


def test_joint_models_without_held_out_set_are_not_drawn(study, drawn):
    figure = drawn("certified_vs_test", without_held_out(study))
    assert not [line for axes in figure.axes for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert "No held-out certificates" in said(figure)
    assert "joint model" not in said(figure)
    assert "8 of 8 of kind joint lack" in said(figure)
