"""Write the tables of the paper as CSV with every digit, and as LaTeX."""

from pathlib import Path

import pandas as pd

from certifuse.provenance import write_text
from certifuse.reporting import paper_tables, tables
from certifuse.reporting.frames import count_test_images
from certifuse.reporting.latex import document
from certifuse.rows import write_rows
from certifuse.settings.base import Settings
from certifuse.settings.evaluation import StatisticsSettings


class TablesStep(Settings):
    """The settings of this step."""

    study: str
    statistics: StatisticsSettings


def write_tables(
    settings: TablesStep, summary: pd.DataFrame, comparison: pd.DataFrame, missing: pd.DataFrame, directory: Path
) -> list[Path]:
    """Write results, baselines and comparison (.csv and .tex) and `tables.tex`, which includes them.

    Returns the paths.
    """
    statistics, n_test = settings.statistics, count_test_images(comparison)
    results = tables.results_rows(summary, missing, statistics.confidence, n_test)
    baselines = tables.baseline_rows(summary, missing, statistics.confidence, n_test)
    compared = tables.comparison_rows(comparison, summary, missing)
    for name, rows in (("results", results), ("baselines", baselines), ("comparison", compared)):
        write_rows(directory / f"{name}.csv", rows, tables.COLUMNS[name])

    about = paper_tables.caption_about([*results, *baselines], statistics, settings.study, n_test)
    write_text(directory / "results.tex", paper_tables.results_tex(results, about))
    write_text(directory / "baselines.tex", paper_tables.baselines_tex(baselines, about))
    write_text(directory / "comparison.tex", paper_tables.comparison_tex(compared, statistics))
    write_text(directory / "tables.tex", document(list(tables.COLUMNS)))
    return [
        *(directory / f"{name}.{kind}" for name in tables.COLUMNS for kind in ("csv", "tex")),
        directory / "tables.tex",
    ]
