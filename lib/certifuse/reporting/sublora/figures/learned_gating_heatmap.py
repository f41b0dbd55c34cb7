"""The learned splits of one budget: a row per seed, a column per layer, the head and the mean over seeds apart."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from certifuse.reporting import plot
from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.sublora import notes
from certifuse.reporting.sublora.frames import HEAD, SUBLORA
from certifuse.reporting.sublora.modes import LEARNED
from certifuse.reporting.sublora.questions import learned_gates
from certifuse.study.steps.reporting import DrawFigure

COLOURS = "cividis"
"""Of even lightness steps, safe for the colour-blind, and ordered in grey too."""

SHARES = Normalize(0.0, 1.0)
LIGHT_ABOVE = 0.48
CELL_IN, CELL_HEIGHT_IN = (0.44, 1.0), 0.3
LAYERS_IN, MARGIN_IN, LABELS_IN = 5.0, 1.25, 1.5


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """gamma = k / d of every group as colour and number: 0 gives all directions to A, 1 gives all to B."""
    gates, style = learned_gates(frames.gates, step.d), step.style
    if gates.empty:
        raise notes.nothing_at(frames, step.d, "learned split")
    missing = rows_with(frames.missing, model=SUBLORA, d=step.d, mode=LEARNED)
    seeds = sorted(int(seed) for seed in {*gates["seed"], *missing["seed"].dropna()})
    head = gates["group"] == HEAD
    parts = [part for part in (gates[~head], gates[head]) if not part.empty]
    shares = [part.pivot(index="seed", columns="depth", values="gamma").reindex(seeds) for part in parts]
    cell = min(max(LAYERS_IN / sum(part.shape[1] for part in shares), CELL_IN[0]), CELL_IN[1])
    widths = [max(part.shape[1] * cell, CELL_IN[1] / 1.4) / style.panel_width_in for part in shares]
    total = ((len(seeds) + 1) * CELL_HEIGHT_IN + MARGIN_IN) / style.panel_height_in
    heights = [total * count / (len(seeds) + 1) for count in (len(seeds), 1)]
    figure, grid = plot.new_panels(style, widths, heights, LABELS_IN)
    for (above, below), part, rows in zip(grid.T, shares, parts, strict=True):
        _draw_cells(above, part)
        _draw_cells(below, part.mean().to_frame("mean").T)
        above.set(xticks=[], title=("head" if rows is parts[-1] else "layers") if len(parts) > 1 else "groups")
        budgets = rows.drop_duplicates("depth").sort_values("depth")
        names = budgets["group"].str.removeprefix("layer_") + "\n" + budgets["budget"].map("{:,}".format)
        below.set_xticklabels(names)
    for axes in grid[:, 1:].ravel():
        axes.set_yticks([])
    grid[0, 0].set_ylabel("seed")
    grid[1, 0].set_xlabel("layer, and its number of directions $d_l$")
    for place, seed in enumerate(seeds):
        if seed not in set(gates["seed"]):
            grid[0, 0].text(0.5, place + 0.5, notes.reason_of(frames, step.d, LEARNED), **plot.in_row(grid[0, 0]))
    bar = figure.colorbar(ScalarMappable(SHARES, COLOURS), ax=list(grid.ravel()), shrink=0.9, pad=0.02)
    bar.set_label("γ: share of B")
    bar.ax.axhline(0.5, color="white", lw=1.0)
    figure.suptitle(f"learned splits, d = {step.d:,}", fontsize=style.font_size_pt)
    lowest, highest = gates["budget"].min(), gates["budget"].max()
    sentences = [
        "γ = 0: all directions of a group steer its A; γ = 1: all steer its B; training starts at γ = 0.5.",
        f"γ moves in steps of one direction ({f'1/{highest:,} to ' if lowest < highest else ''}1/{lowest:,}).",
        "Lower row: mean over seeds." if len(seeds) > 1 else "",
    ]
    return plot.finish(figure, {}, sentences, style, digits=True)


def _draw_cells(axes: Axes, shares: pd.DataFrame) -> None:
    """A coloured cell with its number for every share that is known."""
    import seaborn

    looks = {"cmap": COLOURS, "vmin": SHARES.vmin, "vmax": SHARES.vmax, "linewidths": 1.5, "cbar": False}
    numbers = {"annot": True, "fmt": ".2f", "annot_kws": {"fontsize": "small"}}
    seaborn.heatmap(shares, ax=axes, xticklabels=True, yticklabels=True, **looks, **numbers)
    for text in axes.texts:
        text.set_color("black" if float(text.get_text()) > LIGHT_ABOVE else "white")
    axes.grid(visible=False)
    axes.tick_params(which="both", length=0)
    axes.tick_params(axis="y", rotation=0)
    axes.set(xlabel="", ylabel="")
