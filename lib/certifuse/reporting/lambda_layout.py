"""The layout of the lambda ablation: which architectures, which rows of panels, and where each cell stands."""

import math
from dataclasses import dataclass

import pandas as pd

from certifuse.reporting.frames import architectures_of, fusions_of, lambdas_of
from certifuse.settings.evaluation import StatisticsSettings

FEW = 4
"""Up to this many architectures are all shown; of more, those with several lambdas."""

SPREAD = 0.64
"""Share of the distance between two lambdas over which the fusion rules are set side by side."""


@dataclass(frozen=True)
class Row:
    """One row of panels: label of its y axis, and the columns that it draws, each with its fill."""

    label: str
    filled: str
    hollow: str | None = None
    with_baselines: bool = False
    whole_numbers: bool = False
    highest: float = math.inf

    @property
    def columns(self) -> list[str]:
        """What is drawn, filled first."""
        return [self.filled] if self.hollow is None else [self.filled, self.hollow]


@dataclass(frozen=True)
class Places:
    """Where the cells of one architecture stand on the x axis: lambdas equidistant, fusion rules side by side."""

    lambdas: list[str]
    fusions: list[str]

    def of(self, fusion: str, lam: str) -> float:
        """The place of one rule at one lambda; the tick of a lambda is at its index."""
        return self.lambdas.index(lam) + SPREAD * ((self.fusions.index(fusion) + 0.5) / len(self.fusions) - 0.5)


def places_of(cells: pd.DataFrame) -> Places:
    """The places of the cells of one architecture."""
    return Places(lambdas_of(cells), fusions_of(cells))


def rows(statistics: StatisticsSettings) -> tuple[Row, ...]:
    """From top to bottom."""
    points = 100 * statistics.convergence_tolerance
    return (
        Row("test top-1 accuracy (%)", "top1_percent", with_baselines=True, highest=100.0),
        Row(f"convergence epoch\n(within {points:g} points of best)", "convergence_epoch", whole_numbers=True),
        Row("training loss at best epoch\n(nats)", "loss_global", "loss_individual_per_expert"),
        Row("individual loss per expert /\nglobal loss", "loss_ratio"),
        Row("cosine of the gradients of\nboth losses at best epoch", "path_gradient_cosine", highest=1.0),
    )


def shown_architectures(cells: pd.DataFrame) -> list[str]:
    """All architectures if they are few, else those with several lambdas (all again where none has)."""
    names = architectures_of(cells)
    several = [name for name in names if len(lambdas_of(cells[cells["architecture"] == name])) > 1]
    return names if len(names) <= FEW or not several else several
