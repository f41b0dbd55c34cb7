"""Start pages of synthetic studies: their tables and pictures written where the step reads them."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from certifuse.reporting.frames import Frames
from certifuse.steps.write_start_page import GATHERED, write_start_page
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.steps.reporting import WriteStartPage

ROOT = Path(__file__).resolve().parents[2]
CAPTIONS = ROOT / "workflow" / "report" / "figures.rst"


def page_step(*parts: str, figures: tuple[str, ...] = (), **changed: Any) -> WriteStartPage:
    """The settings of a page of these parts."""
    settings = {"study": "digits", "parts": parts, "confidence": 0.95, "images": "digits", "experts": 4}
    settings |= {"scheme": "iid", "finetuned_as": "concatenation", "corpus": "python_docs", "figures": figures}
    settings |= {"palette": FigureSettings().palette}
    return WriteStartPage(**(settings | changed))


def write_picture(path: Path, reason: str = "") -> None:
    """A small PNG; with a reason one of a figure that has nothing to show."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = PngInfo()
    if reason:
        told.add_text("Description", reason)
    Image.new("RGB", (4, 3), "red").save(path, pnginfo=told)


def write_gathered(directory: Path, **parts: Frames) -> None:
    """The gathered tables of each part."""
    for part, frames in parts.items():
        for name, path in GATHERED[part].items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            getattr(frames, name).to_csv(directory / path, index=False)


def page_of(step: WriteStartPage, directory: Path) -> str:
    """The HTML that the step writes into a results directory."""
    page = directory / "index.html"
    files = WriteStartPage.Files(source="0" * 16, results_dir=directory, captions=CAPTIONS, page=page)
    write_start_page(step, files)
    return page.read_text(encoding="utf-8")


class Page(HTMLParser):
    """What a page shows: the texts of its sections, the tables, and what it refers to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self.references: list[str] = []
        self._section = self._table = ""
        self._hidden = False
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        self.references += [value for name in ("src", "href") if (value := told.get(name))]
        self._hidden = tag in ("style", "script")
        if tag == "section":
            self._section = told["id"] or ""
            self.sections[self._section] = ""
        if tag == "figure" and told.get("class") == "table":
            self._table = told["id"] or ""
            self.tables[self._table] = []
        if tag == "tr":
            self.tables[self._table].append([])
        if tag in ("td", "th"):
            self.tables[self._table][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.sections[self._section] += " "
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if self._section and not self._hidden:
            self.sections[self._section] += data
        if (
            self._table
            and self.tables[self._table]
            and self.tables[self._table][-1]
            and self.lasttag in ("td", "button")
        ):
            self.tables[self._table][-1][-1] += data.strip()
