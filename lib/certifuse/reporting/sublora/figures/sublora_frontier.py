"""Every certified language model by code length: risk, our bound and the published one, beside coded n-gram tables."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from certifuse.reporting import plot
from certifuse.reporting.frames import Frames, records
from certifuse.reporting.frontier import draw_frontier
from certifuse.reporting.sublora import notes, panels
from certifuse.reporting.sublora.choice import HEADLINE, PUBLISHED, best_first
from certifuse.reporting.sublora.frames import NGRAM, of_models, of_modes
from certifuse.reporting.sublora.modes import NULLS, REFERENCES, is_allocation, mode_label, mode_looks
from certifuse.reporting.sublora.quoting import quoted_text
from certifuse.reporting.text import bound_text
from certifuse.study.steps.reporting import DrawFigure

BITS, RISK = "code_bits", "risk_bpd"
PANELS = {RISK: "empirical risk", HEADLINE: "our bound", PUBLISHED: "published bound"}
HEIGHT = 1.35
NGRAM_MARK: dict[str, Any] = {"ls": "", "marker": "*", "ms": 9, "zorder": 4}
NGRAM_NAME: dict[str, Any] = {
    **{"textcoords": "offset points", "ha": "center", "va": "top", "size": "x-small", "zorder": 3.5},
    "bbox": {"fc": "white", "ec": "none", "pad": 0.2, "alpha": 0.8},
}
RING: dict[str, Any] = {"ls": "", "marker": "o", "ms": 10, "mfc": "none", "mew": 1.0, "zorder": 5}
SMALL = 3.8


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """Three panels of one scale; every certificate is a point, its colour the budget and its marker the levels."""
    models, grey = of_models(frames.metrics), step.style.baseline_colour
    swept = of_modes(models, is_allocation)
    if swept.empty:
        raise notes.nothing_to_show("no certificate yet", frames.missing)
    references = of_modes(models, REFERENCES.__contains__)
    ngrams = frames.metrics[(frames.metrics["model"] == NGRAM) & (frames.metrics["mode"] != "uniform")]
    shown, highest = pd.concat([swept, references, ngrams]), panels.highest_shown(swept)
    colours = {d: look.colour for d, look in plot.looks_in_order(swept["d"], step.style).items()}
    markers = {levels: look.marker for levels, look in plot.looks_in_order(swept["levels"], step.style).items()}
    marks = {mode: look.mark for mode, look in mode_looks(references["mode"], step.style).items()}
    best = best_first(swept).iloc[0]
    figure, grid = plot.new_panels(step.style, [1.0] * len(PANELS), [HEIGHT])
    for axes, (column, title) in zip(grid[0], PANELS.items(), strict=True):
        panels.log_axis(axes, list(shown[BITS]), 1.4)
        for (d, levels), rows in swept.groupby(["d", "levels"]):
            mark: dict[str, Any] = {"ls": "", "marker": markers[levels], "ms": SMALL, "mec": "white", "mew": 0.3}
            axes.plot(rows[BITS], rows[column], color=colours[d], zorder=3, **mark)
        for mode, rows in references.groupby("mode"):
            axes.plot(rows[BITS], rows[column], ls="", zorder=3, **marks[mode] | {"ms": SMALL + 0.7})
        if column == HEADLINE:
            axes.plot([best[BITS]], [best[column]], color=grey, **RING)
        for row in records(ngrams[ngrams[column] <= highest]):
            axes.plot([row[BITS]], [row[column]], color=grey, **NGRAM_MARK)
            axes.annotate(row["mode"], (row[BITS], row[column]), (0, -6), **NGRAM_NAME)
        axes.set(xlabel=panels.BITS_LABEL, title=title, ylabel=panels.BOUND_LABEL)
        if column == RISK:
            axes.set(ylim=plot.view_of(shown[RISK], 0.1), ylabel=panels.RISK_LABEL)
            _write_budgets(axes, swept)
            draw_frontier(axes, swept, BITS, RISK, color=grey, **panels.FRONTIER)
        else:
            panels.draw_vacuous(axes, shown, step.style)
            axes.set_ylim(panels.view_of_bounds(shown))
    legend: plot.Legend = {f"d = {d:,}": {"marker": "o", "color": colour, "ms": 5} for d, colour in colours.items()}
    legend |= {f"L = {n}": {"marker": mark, "mfc": "white", "mec": grey, "ms": 5} for n, mark in markers.items()}
    legend |= {mode_label(mode): {"ms": 5, **mark} for mode, mark in marks.items()}
    legend |= {} if ngrams.empty else {"coded n-gram table": {"color": grey, **NGRAM_MARK, "ms": 7.5}}
    legend |= {"frontier of SubLoRA models": {"color": grey, **panels.FRONTIER}}
    legend |= {"lowest bound": {"color": grey, **RING, "ms": 8}, **panels.vacuous_entry(swept, step.style)}
    nulls = len(of_modes(models, NULLS.__contains__))
    sentences = [
        notes.sample_note(shown),
        "Every point is one certificate; numbers in the first panel: d.",
        f"Lowest bound: {bound_text(best[HEADLINE])} bits per token (d = {best['d']:,}, {mode_label(best['mode'])}, "
        f"L = {best['levels']}, seed {best['seed']}); {quoted_text(best)}.",
        f"{nulls} certificates of gates that were not learned are left out." if nulls else "",
        notes.cut_note(shown, highest),
        notes.missing_note(frames),
    ]
    return plot.finish(figure, legend, sentences, step.style, digits=True)


def _write_budgets(axes: Axes, swept: pd.DataFrame) -> None:
    """d above the highest of its models with the fewest levels, so that budgets are told apart without colour."""
    for d, rows in swept.groupby("d"):
        first = rows[rows["levels"] == rows["levels"].min()]
        place = (float(first[BITS].mean()), float(first[RISK].max()))
        axes.annotate(f"{d:,}", place, (0, 3), textcoords="offset points", ha="center", va="bottom", size="x-small")
