"""Every figure: the part of a study that it shows, what it is drawn from, and once or for each budget.

One line here and a module of the figure's own name in `reporting/<part>/figures` is all that a figure needs: its
section of the configuration, the targets of the workflow, and the settings, files and module of its job follow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from certifuse.study import paths


@dataclass(frozen=True)
class Figure:
    """A figure as it is known before it is drawn.

    Args:
        part: which part of a study it shows: `fusion`, `certificates` or `sublora`.
        tables: the gathered tables that it is drawn from, by the name under which its module knows them.
        description: its line in the reference of the configuration.
        statistics: the keys of the section `statistics` that it shows.
        budgets: what a study calls the budgets for each of which it is drawn; None for a figure of the whole study.
    """

    part: str
    tables: Mapping[str, str]
    description: str
    statistics: tuple[str, ...] = ()
    budgets: str | None = None


@dataclass(frozen=True)
class Drawing:
    """A figure as one job draws it."""

    name: str
    figure: Figure
    budget: int | None = None

    @property
    def place(self) -> str:
        """Its path below `figures/`, without the suffix."""
        return place_of(self.figure.part, self.name, self.budget)

    @property
    def labels(self) -> dict[str, str]:
        """The labels that tell it from the other figures of its part."""
        return {"figure": self.name} | ({} if self.budget is None else {"budget": str(self.budget)})


def place_of(part: str, name: str, budget: int | None) -> str:
    """The path of a figure below `figures/`, without the suffix; the language models have a folder of their own."""
    of_budget = name if budget is None else f"{name}_d{budget}"
    return f"sublora/{of_budget}" if part == "sublora" else of_budget


FUSION = {
    "summary": paths.SUMMARY,
    "missing": paths.MISSING,
    "logs": paths.LOGS,
    "calibration": paths.CALIBRATION,
    "comparison": paths.COMPARISON,
}


def _of_fusion(description: str, *tables: str, statistics: tuple[str, ...] = ()) -> Figure:
    """A figure of the grid: scores and missing cells, and `tables` beside them."""
    return Figure("fusion", {name: FUSION[name] for name in ("summary", "missing", *tables)}, description, statistics)


_of_certificates = partial(Figure, "certificates", {"certificates": paths.CERTIFICATES})
_of_language = partial(Figure, "sublora", {"metrics": paths.SUBLORA_METRICS, "missing": paths.MISSING_SUBLORA})
_of_gates = partial(Figure, "sublora", {"gates": paths.SUBLORA_GATES, "missing": paths.MISSING_GATES})
CONFIDENCE = ("confidence",)
FIGURES: dict[str, Figure] = {
    "lambda_ablation": _of_fusion(
        "Accuracy, convergence and losses against lambda.",
        *("logs", "comparison"),
        statistics=("confidence", "convergence_tolerance"),
    ),
    "fusion_comparison": _of_fusion("Every rule and baseline side by side.", "comparison", statistics=CONFIDENCE),
    "reliability": _of_fusion("Calibration before and after temperature.", "calibration"),
    "training_curves": _of_fusion("Accuracy and losses against epoch.", "logs"),
    "diversity": _of_fusion("How the experts differ.", statistics=CONFIDENCE),
    "certified_vs_dimension": _of_certificates("Certified error against the dimension of the trained subspace."),
    "certified_vs_lambda": _of_certificates("Certified error against lambda at each dimension."),
    "certificate_frontier": _of_certificates("Code length against risk, with lines of equal certified error."),
    "certified_vs_test": _of_certificates("Certified error against test error per fusion rule.", CONFIDENCE),
    "pareto_frontier": _of_language("Complexity against risk of all modes, per budget.", CONFIDENCE, "sublora_budgets"),
    "compression_comparison": _of_language(
        "Complexity, size, risk and both bounds, per budget.", budgets="sublora_budgets"
    ),
    "learned_gating_heatmap": _of_gates(
        "Learned splits of every layer and seed, per budget.", budgets="learned_budgets"
    ),
    "allocation_comparison_grid": _of_language("Risk, bounds, size and improvement of all modes.", CONFIDENCE),
    "learned_gating_trend": _of_gates("Learned splits against depth.", CONFIDENCE),
    "sublora_frontier": _of_language("Every certificate by code length, with n-gram tables."),
    "gating_nulls": _of_language("Learned gates beside their nulls.", CONFIDENCE),
}


def figures_of(part: str) -> dict[str, Figure]:
    """The figures of one part of a study, by name."""
    return {name: figure for name, figure in FIGURES.items() if figure.part == part}
