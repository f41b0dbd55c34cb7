"""The figures of the start page: their images, their captions, and why one has nothing to show."""

import base64
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from jinja2 import Template
from PIL import Image

from certifuse.base.errors import UserError


@dataclass(frozen=True)
class Picture:
    """A figure: its place below `figures/`, its caption, and its PNG in base64; of an empty one `reason` says why."""

    place: str
    caption: str
    image: str | None
    reason: str = ""


def picture(directory: Path, place: str, caption: str) -> Picture:
    """The figure at a place below the results directory.

    Raises:
        UserError: there is no such PNG.
    """
    path = directory / "figures" / f"{place}.png"
    try:
        with Image.open(path) as opened:
            reason = str(opened.info.get("Description", ""))
    except OSError as error:
        raise UserError(f"{path}: expected a PNG, found none that can be read: draw the figure again") from error
    if reason:
        return Picture(place, caption, None, reason)
    return Picture(place, caption, base64.b64encode(path.read_bytes()).decode("ascii"))


def figure_caption(template: str, study: str, place: str) -> str:
    """The caption that the workflow's report gives the figure, as plain text on one line."""
    job = SimpleNamespace(wildcards=SimpleNamespace(figure=place), config={"name": study})
    return " ".join(Template(template).render(snakemake=job).replace("``", "").split())
