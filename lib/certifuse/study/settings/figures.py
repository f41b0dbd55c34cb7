"""Looks of each figure."""

from typing import Annotated, Any

from pydantic import Field, create_model

from certifuse.base.records import Count, Positive, Settings
from certifuse.study.figures import figures_of

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


def _sections(name: str, part: str, of: str) -> Any:
    """A model with a section for each figure of one part of a study."""
    fields: dict[str, Any] = {
        figure: (FigureSettings, Field(default=FigureSettings(), description=known.description))
        for figure, known in figures_of(part).items()
    }
    doc = f"One section per figure{of}, so that a change redraws that figure alone."
    return create_model(name, __base__=Settings, __doc__=doc, **fields)


FiguresSettings: Any = _sections("FiguresSettings", "fusion", "")
CertificateFiguresSettings: Any = _sections("CertificateFiguresSettings", "certificates", " of the certificates")
SubloraFiguresSettings: Any = _sections("SubloraFiguresSettings", "sublora", " of the SubLoRA study")
