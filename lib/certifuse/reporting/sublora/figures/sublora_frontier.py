"""Every certified language model by code length: risk, our bound and the published one, beside coded n-gram tables."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from certifuse.reporting.choice import unbeaten
from certifuse.reporting.frames import Frames
from certifuse.reporting.style import MARKERS, Look, entry, legend_above, looks_in_order, new_panels, view_of
from certifuse.reporting.sublora.choice import HEADLINE, PUBLISHED, best_certificate
from certifuse.reporting.sublora.frames import NGRAM, of_models, of_modes
from certifuse.reporting.sublora.modes import NULLS, REFERENCES, is_allocation, mode_label, mode_looks
from certifuse.reporting.sublora.notes import cut_note, missing_note, note_under, nothing_to_show, sample_note
from certifuse.reporting.sublora.panels import (
    BITS_LABEL,
    BOUND_LABEL,
    FRONTIER,
    RISK_LABEL,
    draw_frontier,
    draw_vacuous,
    highest_shown,
    log_axis,
    vacuous_handle,
    view_up_to,
)
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
        raise nothing_to_show("no certificate yet", frames.missing)
    references = of_modes(models, REFERENCES.__contains__)
    ngrams = frames.metrics[(frames.metrics["model"] == NGRAM) & (frames.metrics["mode"] != "uniform")]
    shown = pd.concat([swept, references, ngrams])
    highest = highest_shown(swept)
    figure, panels = new_panels(step.style, [1.0] * len(PANELS), [HEIGHT])
    for axes, (column, title) in zip(panels[0], PANELS.items(), strict=True):
        log_axis(axes, list(shown[BITS]), 1.4)
        _draw_models(axes, swept, references, column, step.style)
        _draw_ngrams(axes, ngrams[ngrams[column] <= highest], column, step.style)
        axes.set(xlabel=BITS_LABEL, title=title, ylabel=BOUND_LABEL)
        if column == RISK:
            _write_budgets(axes, swept)
        else:
            draw_vacuous(axes, shown, step.style)
            view_up_to(axes, [value for name in (HEADLINE, PUBLISHED) for value in shown[name]], highest)
    risk = panels[0, 0]
    risk.set(ylim=view_of(shown[RISK], 0.1), ylabel=RISK_LABEL)
    draw_frontier(risk, unbeaten(swept, BITS, RISK), BITS, RISK, step.style)
    legend_above(figure, _handles(swept, references, ngrams, step.style), step.style)
    note_under(figure, _notes(frames, shown, swept), step.style)
    return figure


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
        axes.plot([best.row[BITS]], [best.row[column]], color=style.baseline_colour, **RING)


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


def _looks(swept: pd.DataFrame, style: FigureSettings) -> tuple[dict[Any, Look], dict[Any, str]]:
    """The colour of every budget and the marker of every number of levels."""
    levels = sorted(swept["levels"].unique())
    markers = {number: MARKERS[rank % len(MARKERS)] for rank, number in enumerate(levels)}
    return looks_in_order(swept["d"], style), markers


def _handles(
    swept: pd.DataFrame, references: pd.DataFrame, ngrams: pd.DataFrame, style: FigureSettings
) -> list[Line2D]:
    colours, markers = _looks(swept, style)
    grey, looks = style.baseline_colour, mode_looks(references["mode"], style)
    return [
        *(entry(f"d = {d:,}", marker="o", color=look.colour, ms=5) for d, look in colours.items()),
        *(entry(f"L = {levels}", marker=mark, mfc="white", mec=grey, ms=5) for levels, mark in markers.items()),
        *(entry(mode_label(mode), ms=5, **look.mark) for mode, look in looks.items()),
        *([] if ngrams.empty else [entry("coded n-gram table", color=grey, **NGRAM_MARK | {"ms": 7.5})]),
        entry("frontier of SubLoRA models", color=grey, **FRONTIER),
        entry("lowest bound", color=grey, **RING | {"ms": 8}),
        vacuous_handle(swept, style),
    ]


def _notes(frames: Frames, shown: pd.DataFrame, swept: pd.DataFrame) -> list[str]:
    best = best_certificate(swept)
    notes = [sample_note(shown), "Every point is one certificate; numbers in the first panel: d."]
    if best is not None:
        row = best.row
        notes.append(
            f"Lowest bound: {row[HEADLINE]:.3f} bits per token (d = {row['d']:,}, {mode_label(row['mode'])}, "
            f"L = {row['levels']}, seed {row['seed']}); quoting the best of {best.candidates} costs "
            f"{best.selection_bits:.1f} bits."
        )
    nulls = len(of_modes(of_models(frames.metrics), NULLS.__contains__))
    notes += [f"{nulls} certificates of gates that were not learned are left out."] if nulls else []
    return [*notes, *cut_note(shown, highest_shown(swept)), *missing_note(frames)]
