"""The steps that draw figures and write tables from what was gathered."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from certifuse.study.figures import place_of
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.steps.step import From, Step, StepFiles

if TYPE_CHECKING:
    from certifuse.study.study import Study


class DrawFigure(Step):
    """Draw one figure from the gathered tables, as PNG and PDF.

    `study` is the name of the study, `part` the part of it that the figure shows, `tables` the names of the tables in
    the order of the files, and `statistics` the keys of that section that the figure uses.
    """

    figure: str
    part: str
    budget: int | None
    tables: tuple[str, ...]
    statistics: dict[str, float]
    study: str
    style: FigureSettings

    class Files(StepFiles):
        """`tables` are read; equal tables give equal images."""

        tables: tuple[Path, ...]
        png: Path
        pdf: Path

    @classmethod
    def of(cls, study: "Study", names: Mapping[str, Any]) -> Self:
        """The figure at a place below `figures/`."""
        drawing = study.drawings[names["figure"]]
        return cls(
            figure=drawing.name,
            part=drawing.figure.part,
            budget=drawing.budget,
            tables=tuple(drawing.figure.tables),
            statistics={key: getattr(study.statistics, key) for key in drawing.figure.statistics},
            study=study.name,
            style=study.style_of(drawing),
        )

    def identity(self) -> dict[str, Any]:
        """Its place."""
        return {"figure": place_of(self.part, self.figure, self.budget)}

    def modules(self) -> tuple[str, ...]:
        """The module that reads the tables of this part, and the one that draws the figure."""
        return f"certifuse.reporting.{self.part}.frames", f"certifuse.reporting.{self.part}.figures.{self.figure}"

    @property
    def d(self) -> int:
        """The budget of a figure of one budget."""
        assert self.budget is not None, f"figure {self.figure}: drawn once for each budget, so that it has one"
        return self.budget

    @property
    def confidence(self) -> float:
        """The confidence of every interval that the figure shows, a fraction."""
        return self.statistics["confidence"]


class TableFiles(StepFiles):
    """The gathered tables, and the directory that is written to."""

    output_dir: Path


class WriteTables(Step):
    """Write the tables of the fusion study as CSV with every digit and as LaTeX. `study` is its name."""

    study: Annotated[str, From("name")]
    confidence: Annotated[float, From("statistics.confidence")]
    bootstrap_samples: Annotated[int, From("statistics.bootstrap_samples")]

    class Files(TableFiles):
        """Scores, missing cells, comparisons and costs."""

        summary: Path
        missing: Path
        comparison: Path
        costs: Path


class WriteCertificateTables(Step):
    """Write the tables of the certificates as CSV with every digit and as LaTeX. `study` is the name of the study."""

    study: Annotated[str, From("name")]

    class Files(TableFiles):
        """Certificates and their ledgers."""

        certificates: Path
        ledgers: Path


class WriteSubloraTables(Step):
    """Write the tables of the language models as CSV and LaTeX, and the page of their questions as Markdown too."""

    study: Annotated[str, From("name")]
    confidence: Annotated[float, From("statistics.confidence")]

    class Files(TableFiles):
        """Certificates, splits, missing ones, terms and ledgers."""

        metrics: Path
        gates: Path
        missing: Path
        terms: Path
        ledgers: Path


class WriteStartPage(Step):
    """Write the start page: what was studied, the answers, and every figure and table, in one HTML file.

    `study` is its name and `parts` are those that it has. `images` and `corpus` are the sources of its data, where it
    has that part; `finetuned_as` is the rule whose recipe the fine-tuned average uses, where there is that control;
    `figures` are places below `figures/`, and `palette` has the colours of the main figure, which charts share.
    """

    study: Annotated[str, From("name")]
    parts: Annotated[tuple[str, ...], From(lambda study, _: tuple(_parts(study)))]
    confidence: Annotated[float, From("statistics.confidence")]
    images: Annotated[str | None, From(lambda study, _: _images(study))]
    experts: Annotated[int, From("splits.experts")]
    scheme: Annotated[str, From("splits.scheme")]
    finetuned_as: Annotated[str | None, From(lambda study, _: _finetuned_as(study))]
    corpus: Annotated[str | None, From(lambda study, _: study.sublora.corpus.source if study.sublora else None)]
    figures: Annotated[tuple[str, ...], From(lambda study, _: tuple(study.drawings))]
    palette: Annotated[tuple[str, ...], From(lambda study, _: _palette(study))]

    class Files(StepFiles):
        """The results directory, the captions of the figures (a template of reStructuredText), and the page."""

        results_dir: Path
        captions: Path
        page: Path


def _parts(study: "Study") -> list[str]:
    return list(dict.fromkeys(drawing.figure.part for drawing in study.drawings.values()))


def _images(study: "Study") -> str | None:
    if study.data is None or not study.grid:
        return None
    return Path(study.image_file).name if study.image_file else study.data.source


def _palette(study: "Study") -> tuple[str, ...]:
    main = next(iter(study.drawings.values()))
    return study.style_of(study.drawings.get("fusion_comparison", main)).palette


def _finetuned_as(study: "Study") -> str | None:
    return study.baselines.finetuned_as if study.grid and study.baselines.finetuned_average else None
