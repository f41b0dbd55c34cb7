"""The start page from top to bottom, and its HTML."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from certifuse.reporting.frames import Frames, records
from certifuse.reporting.fusion import answers as fusion_answers
from certifuse.reporting.start_page import captions
from certifuse.reporting.start_page.about import about_fusion, about_language
from certifuse.reporting.start_page.certified import certified
from certifuse.reporting.start_page.charts import Chart, accuracy_chart, certified_chart, script_bundle
from certifuse.reporting.start_page.cost import cost_of_fusion, cost_of_language
from certifuse.reporting.start_page.grids import Grid, grid, read_grid
from certifuse.reporting.start_page.look import SCRIPT, STYLE, TEMPLATE
from certifuse.reporting.start_page.main_table import main_table
from certifuse.reporting.start_page.pictures import Picture, figure_caption, picture
from certifuse.reporting.sublora import page as language_page
from certifuse.reporting.sublora.questions import QUESTIONS
from certifuse.reporting.tables import Row
from certifuse.study.steps.reporting import WriteStartPage

CERTIFIED = "What is certified"
MAIN_FIGURES = ("fusion_comparison", "sublora/allocation_comparison_grid")
"""The first of them that a study has is its main figure."""
CERTIFICATE_FIGURES = ("certified_vs_test", "sublora/sublora_frontier")
TABLES = {
    "fusion": ("tables", captions.FUSION),
    "certificates": ("tables", captions.CERTIFICATES),
    "sublora": ("tables/sublora", captions.LANGUAGE),
}
"""The folder of the tables of each part, and what they show."""
CAPTIONS = {name: caption for _, shown in TABLES.values() for name, caption in shown.items()}
WITHOUT_LATEX = ("answers", "crossings")


@dataclass(frozen=True)
class Question:
    """A question with its answer in a few words, and the sentences that it rests on."""

    question: str
    short: str
    sentences: Sequence[str]


@dataclass(frozen=True)
class Section:
    """A part of the page: what is in it stands in this order."""

    name: str
    heading: str
    paragraphs: Sequence[str] = ()
    answers: Sequence[Question] = ()
    pictures: Sequence[Picture] = ()
    grids: Sequence[Grid] = ()
    charts: Sequence[Chart] = ()

    def __bool__(self) -> bool:
        """False where there is nothing in it."""
        return any((self.paragraphs, self.answers, self.pictures, self.grids, self.charts))


def table_files(step: WriteStartPage) -> dict[str, str]:
    """The CSV file of every table that is shown, from the results directory, by the name of the table."""
    folders = {name: folder for part in step.parts for folder, shown in (TABLES[part],) for name in shown}
    return {name: f"{folder}/{name}.csv" for name, folder in folders.items()}


def start_page(parts: dict[str, Frames], step: WriteStartPage, directory: Path, template: str) -> str:
    """The HTML of the page.

    Args:
        parts: the gathered tables of each part of the study.
        step: the settings.
        directory: the results directory, which holds the tables and figures.
        template: the captions of the figures.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    shown = [section for section in sections(parts, step, directory, template) if section]
    bundle = script_bundle([chart for section in shown for chart in section.charts])
    content = {"title": f"Study {step.study}", "sections": shown, "style": STYLE, "script": SCRIPT, "bundle": bundle}
    return environment.from_string(TEMPLATE).render(**content)


def sections(parts: dict[str, Frames], step: WriteStartPage, directory: Path, template: str) -> Iterator[Section]:
    """Every section; one may be empty."""
    fusion, certificates, language = (parts.get(part) for part in ("fusion", "certificates", "sublora"))
    told = [] if language is None else language_page.sections(language, step.study, step.confidence)
    by_place = {place: picture(directory, place, figure_caption(template, step.study, place)) for place in step.figures}
    main = [place for place in MAIN_FIGURES if place in by_place][:1]
    of_certificates = [place for place in CERTIFICATE_FIGURES if place in by_place and place not in main]
    tables = {name: _table(directory, name, file) for name, file in table_files(step).items()}
    yield Section("studied", "What was studied", [*_studied(fusion, language, step)])
    tests = [tables[name] for name in ("answers", "hypotheses") if name in tables]
    yield Section("answers", "The answer", answers=[*_answers(fusion, step), *_told(told)], grids=tests)
    yield Section("main", "Main figure and table", (), (), [by_place[one] for one in main], _main(fusion, tables, step))
    yield Section("explore", "Accuracy and certified error against λ", charts=[*_charts(fusion, certificates, step)])
    yield Section(
        "certificates",
        "Certificates",
        [*_certified(certificates), *_paragraphs(told, CERTIFIED)],
        pictures=[by_place[one] for one in of_certificates],
    )
    yield Section("cost", "Cost", [*_cost(fusion, language)])
    others = [shown for place, shown in by_place.items() if place not in (*main, *of_certificates)]
    yield Section("figures", "All other figures", pictures=others)
    decided = [] if fusion is None else [captions.HOW_DECIDED]
    yield Section("reading", "How the answers are reached", [*decided, *_setting(told)])
    yield Section("tables", "All tables", grids=[one for one in tables.values() if one not in tests])
    yield Section("missing", "What is missing", grids=[*_missing(parts)])


def _studied(fusion: Frames | None, language: Frames | None, step: WriteStartPage) -> Iterator[str]:
    if fusion is not None:
        yield about_fusion(fusion, step)
    if language is not None:
        yield about_language(language, step)


def _setting(told: Sequence[language_page.Section]) -> list[str]:
    """The setting of the language models: the paragraphs under the title of their page."""
    return [*told[0].paragraphs] if told else []


def _answers(fusion: Frames | None, step: WriteStartPage) -> list[Question]:
    found = [] if fusion is None else fusion_answers.answers(fusion, step.confidence)
    return [Question(answer.question, answer.short, (answer.sentence,)) for answer in found]


def _told(told: Sequence[language_page.Section]) -> list[Question]:
    """The questions of the language models: a section's first paragraph is the answer in a few words."""
    asked = [section for section in told if section.heading in QUESTIONS.values()]
    return [Question(one.heading, one.paragraphs[0].rstrip("."), one.paragraphs[1:]) for one in asked]


def _paragraphs(told: Sequence[language_page.Section], heading: str) -> list[str]:
    return [paragraph for section in told if section.heading == heading for paragraph in section.paragraphs]


def _main(fusion: Frames | None, tables: dict[str, Grid], step: WriteStartPage) -> list[Grid]:
    if fusion is not None:
        return [main_table(fusion, step.confidence)]
    return [replace(tables["summary_table"], folded=False)] if "summary_table" in tables else []


def _charts(fusion: Frames | None, certificates: Frames | None, step: WriteStartPage) -> Iterator[Chart]:
    if fusion is not None:
        yield from accuracy_chart(fusion.summary, step.palette, step.confidence)
    if certificates is not None:
        yield from certified_chart(certificates.certificates, step.palette)


def _certified(certificates: Frames | None) -> list[str]:
    return [] if certificates is None else certified(certificates.certificates)


def _cost(fusion: Frames | None, language: Frames | None) -> Iterator[str]:
    if fusion is not None:
        yield from cost_of_fusion(fusion.costs)
    if language is not None:
        yield cost_of_language(language)


def _table(directory: Path, name: str, file: str) -> Grid:
    stem = file.removesuffix(".csv")
    latex = {"hypotheses": [f"{stem}.tex", f"{stem}.md"]}.get(name, [f"{stem}.tex"])
    files = [file, *(latex if name not in WITHOUT_LATEX else [])]
    return read_grid(directory / file, name, CAPTIONS[name], files)


def _missing(parts: dict[str, Frames]) -> Iterator[Grid]:
    for part, frames in parts.items():
        lacking: list[Row] = records(frames.missing)
        if lacking:
            yield grid(f"missing_{part}", captions.MISSING, list(frames.missing.columns), lacking)
