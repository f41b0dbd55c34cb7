"""How each figure looks."""

from typing import Annotated

from pydantic import Field

from certifuse.base.records import Count, Positive, Settings

Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class FigureSettings(Settings):
    """Style of one figure."""

    palette: tuple[Colour, ...] = Field(
        default=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"),
        min_length=6,
        description="Colours in order (Okabe and Ito's, safe for the colour-blind); markers differ too.",
    )
    baseline_colour: Colour = Field(default="#444444", description="Lines of the averaging baselines.")
    panel_width_in: Positive = Field(default=3.2, description="Width of a panel, inches.")
    panel_height_in: Positive = Field(default=2.6, description="Height of a panel, inches.")
    font_size_pt: Positive = Field(default=9.0, description="Base font size, points.")
    dpi: Count = Field(default=200, description="Resolution of the PNG.")


class FiguresSettings(Settings):
    """One section per figure, so that a change redraws that figure alone."""

    lambda_ablation: FigureSettings = Field(
        default=FigureSettings(), description="Accuracy, convergence and losses against lambda."
    )
    fusion_comparison: FigureSettings = Field(
        default=FigureSettings(), description="Every rule and baseline side by side."
    )
    reliability: FigureSettings = Field(
        default=FigureSettings(), description="Calibration before and after temperature."
    )
    training_curves: FigureSettings = Field(default=FigureSettings(), description="Accuracy and losses against epoch.")
    diversity: FigureSettings = Field(default=FigureSettings(), description="How the experts differ.")


class CertificateFiguresSettings(Settings):
    """One section per figure of the certificates, so that a change redraws that figure alone."""

    certified_vs_dimension: FigureSettings = Field(
        default=FigureSettings(), description="Certified error against the dimension of the trained subspace."
    )
    certified_vs_lambda: FigureSettings = Field(
        default=FigureSettings(), description="Certified error against lambda at each dimension."
    )
    certificate_frontier: FigureSettings = Field(
        default=FigureSettings(), description="Code length against risk, with lines of equal certified error."
    )
    certified_vs_test: FigureSettings = Field(
        default=FigureSettings(), description="Certified error against test error per fusion rule."
    )


class SubloraFiguresSettings(Settings):
    """One section per figure of the SubLoRA study, so that a change redraws that figure alone."""

    pareto_frontier: FigureSettings = Field(
        default=FigureSettings(), description="Complexity against risk of all modes, per budget."
    )
    compression_comparison: FigureSettings = Field(
        default=FigureSettings(), description="Complexity, size, risk and both bounds, per budget."
    )
    learned_gating_heatmap: FigureSettings = Field(
        default=FigureSettings(), description="Learned splits of every layer and seed, per budget."
    )
    allocation_comparison_grid: FigureSettings = Field(
        default=FigureSettings(), description="Risk, bounds, size and improvement of all modes."
    )
    learned_gating_trend: FigureSettings = Field(default=FigureSettings(), description="Learned splits against depth.")
    sublora_frontier: FigureSettings = Field(
        default=FigureSettings(), description="Every certificate by code length, with n-gram tables."
    )
    gating_nulls: FigureSettings = Field(default=FigureSettings(), description="Learned gates beside their nulls.")


FIGURES = tuple(FiguresSettings.model_fields)
CERTIFICATE_FIGURES = tuple(CertificateFiguresSettings.model_fields)
SUBLORA_FIGURES = tuple(SubloraFiguresSettings.model_fields)
SUBLORA_BUDGET_FIGURES = ("pareto_frontier", "compression_comparison", "learned_gating_heatmap")
"""Those of `SUBLORA_FIGURES` that are drawn once for each budget."""
SUBLORA_GATE_FIGURES = ("learned_gating_heatmap", "learned_gating_trend")
"""Those of `SUBLORA_FIGURES` that show splits alone: they need trainings of mode `learned`, and no certificate."""
