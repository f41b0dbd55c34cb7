"""Every certified language model by code length: risk, our bound and the published one, beside coded n-gram tables."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from certifuse.reporting import plot
from certifuse.reporting.choice import unbeaten
from certifuse.reporting.frames import Frames
from certifuse.reporting.sublora import notes, panels
from certifuse.reporting.sublora.choice import HEADLINE, PUBLISHED, best_certificate
from certifuse.reporting.sublora.frames import NGRAM, of_models, of_modes
from certifuse.reporting.sublora.modes import NULLS, REFERENCES, is_allocation, mode_label, mode_looks
from certifuse.reporting.sublora.quoting import quoted_text
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.steps.reporting import DrawFigure

BITS, RISK = "code_bits", "risk_bpd"
PANELS = {RISK: "empirical risk", HEADLINE: "our bound", PUBLISHED: "published bound"}
HEIGHT = 1.35
NGRAM_MARK: dict[str, Any] = {"ls": "", "marker": "*", "ms": 9, "zorder": 4}
RING: dict[str, Any] = {"ls": "", "marker": "o", "ms": 10, "mfc": "none", "mew": 1.0, "zorder": 5}
SMALL = 3.8


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """Three panels of one scale; every certificate is a point, its colour the budget and its marker the levels."""
    models = of_models(frames.metrics)
    swept = of_modes(models, is_allocation)
    if swept.empty:
        raise notes.nothing_to_show("no certificate yet", frames.missing)
    references = of_modes(models, REFERENCES.__contains__)
    ngrams = frames.metrics[(frames.metrics["model"] == NGRAM) & (frames.metrics["mode"] != "uniform")]
    shown = pd.concat([swept, references, ngrams])
    highest = panels.highest_shown(swept)
    figure, grid = plot.new_panels(step.style, [1.0] * len(PANELS), [HEIGHT])
    for axes, (column, title) in zip(grid[0], PANELS.items(), strict=True):
        panels.log_axis(axes, list(shown[BITS]), 1.4)
        _draw_models(axes, swept, references, column, step.style)
        _draw_ngrams(axes, ngrams[ngrams[column] <= highest], column, step.style)
        axes.set(xlabel=panels.BITS_LABEL, title=title, ylabel=panels.BOUND_LABEL)
        if column == RISK:
            _write_budgets(axes, swept)
        else:
            panels.draw_vacuous(axes, shown, step.style)
            panels.view_up_to(axes, [value for name in (HEADLINE, PUBLISHED) for value in shown[name]], highest)
    risk = grid[0, 0]
    risk.set(ylim=plot.view_of(shown[RISK], 0.1), ylabel=panels.RISK_LABEL)
    panels.draw_frontier(risk, unbeaten(swept, BITS, RISK), BITS, RISK, step.style)
    return plot.finish(
        figure, _handles(swept, references, ngrams, step.style), _notes(frames, shown, swept), step.style, digits=True
    )


def _draw_models(axes: Axes, swept: pd.DataFrame, references: pd.DataFrame, column: str, style: FigureSettings) -> None:
    """Every model by itself, and a ring around the best certificate where the panel shows ours."""
    colours, markers = _looks(swept, style)
    for (d, levels), rows in swept.groupby(["d", "levels"]):
        mark: dict[str, Any] = {"marker": markers[levels], "ms": SMALL, "mec": "white", "mew": 0.3}
        axes.plot(rows[BITS], rows[column], ls="", color=colours[d].colour, zorder=3, **mark)
    looks = mode_looks(references["mode"], style)
    for mode, rows in references.groupby("mode"):
        axes.plot(rows[BITS], rows[column], ls="", zorder=3, **looks[mode].mark | {"ms": SMALL + 0.7})
    best = best_certificate(swept)
    if best is not None and column == HEADLINE:
        axes.plot([best[BITS]], [best[column]], color=style.baseline_colour, **RING)


def _write_budgets(axes: Axes, swept: pd.DataFrame) -> None:
    """d above the highest of its models with the fewest levels, so that budgets are told apart without colour."""
    for d, rows in swept.groupby("d"):
        first = rows[rows["levels"] == rows["levels"].min()]
        place = (float(first[BITS].mean()), float(first[RISK].max()))
        axes.annotate(f"{d:,}", place, (0, 3), textcoords="offset points", ha="center", va="bottom", size="x-small")


def _draw_ngrams(axes: Axes, ngrams: pd.DataFrame, column: str, style: FigureSettings) -> None:
    """Coded tables as stars with their names."""
    for row in ngrams.to_dict("records"):
        axes.plot([row[BITS]], [row[column]], color=style.baseline_colour, **NGRAM_MARK)
        offset: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "top", "size": "x-small"}
        offset |= {"bbox": {"fc": "white", "ec": "none", "pad": 0.2, "alpha": 0.8}, "zorder": 3.5}
        axes.annotate(row["mode"], (row[BITS], row[column]), (0, -6), **offset)


def _looks(swept: pd.DataFrame, style: FigureSettings) -> tuple[dict[Any, plot.Look], dict[Any, str]]:
    """The colour of every budget and the marker of every number of levels."""
    levels = sorted(swept["levels"].unique())
    markers = {number: plot.MARKERS[rank % len(plot.MARKERS)] for rank, number in enumerate(levels)}
    return plot.looks_in_order(swept["d"], style), markers


def _handles(
    swept: pd.DataFrame, references: pd.DataFrame, ngrams: pd.DataFrame, style: FigureSettings
) -> list[Line2D]:
    colours, markers = _looks(swept, style)
    grey, looks = style.baseline_colour, mode_looks(references["mode"], style)
    return [
        *(plot.entry(f"d = {d:,}", marker="o", color=look.colour, ms=5) for d, look in colours.items()),
        *(plot.entry(f"L = {levels}", marker=mark, mfc="white", mec=grey, ms=5) for levels, mark in markers.items()),
        *(plot.entry(mode_label(mode), ms=5, **look.mark) for mode, look in looks.items()),
        *([] if ngrams.empty else [plot.entry("coded n-gram table", color=grey, **NGRAM_MARK | {"ms": 7.5})]),
        plot.entry("frontier of SubLoRA models", color=grey, **panels.FRONTIER),
        plot.entry("lowest bound", color=grey, **RING | {"ms": 8}),
        panels.vacuous_handle(swept, style),
    ]


def _notes(frames: Frames, shown: pd.DataFrame, swept: pd.DataFrame) -> list[str]:
    best = best_certificate(swept)
    sentences = [notes.sample_note(shown), "Every point is one certificate; numbers in the first panel: d."]
    if best is not None:
        row = best
        sentences.append(
            f"Lowest bound: {row[HEADLINE]:.3f} bits per token (d = {row['d']:,}, {mode_label(row['mode'])}, "
            f"L = {row['levels']}, seed {row['seed']}); {quoted_text(row)}."
        )
    nulls = len(of_modes(of_models(frames.metrics), NULLS.__contains__))
    sentences += [f"{nulls} certificates of gates that were not learned are left out."] if nulls else []
    return [*sentences, *notes.cut_note(shown, panels.highest_shown(swept)), *notes.missing_note(frames)]
