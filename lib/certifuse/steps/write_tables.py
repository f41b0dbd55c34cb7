"""Write the tables of the paper as CSV with every digit, and as LaTeX."""

from pathlib import Path

import pandas as pd

from certifuse.base.files import write_text
from certifuse.base.rows import write_rows
from certifuse.reporting.frames import count_test_images
from certifuse.reporting.fusion import costs as cost_table
from certifuse.reporting.fusion import tables
from certifuse.reporting.fusion import tex as paper_tables
from certifuse.reporting.fusion import training_costs as training_cost_table
from certifuse.reporting.latex import document
from certifuse.study.steps import TablesStep


def write_tables(
    settings: TablesStep,
    summary: pd.DataFrame,
    comparison: pd.DataFrame,
    missing: pd.DataFrame,
    training: pd.DataFrame,
    directory: Path,
) -> list[Path]:
    """Write results, baselines, comparison and both tables of costs (.csv and .tex), and `tables.tex` of them all.

    Returns the paths.
    """
    statistics, n_test = settings.statistics, count_test_images(comparison)
    results = tables.results_rows(summary, missing, statistics.confidence, n_test)
    baselines = tables.baseline_rows(summary, missing, statistics.confidence, n_test)
    compared = tables.comparison_rows(comparison, summary, missing)
    costs, training_costs = cost_table.cost_rows(summary), training_cost_table.training_cost_rows(summary, training)
    columns = tables.COLUMNS | {module.NAME: module.COLUMNS for module in (cost_table, training_cost_table)}
    for name, rows in zip(columns, (results, baselines, compared, costs, training_costs), strict=True):
        write_rows(directory / f"{name}.csv", rows, columns[name])

    about = paper_tables.caption_about([*results, *baselines], statistics, settings.study, n_test)
    write_text(directory / "results.tex", paper_tables.results_tex(results, about))
    write_text(directory / "baselines.tex", paper_tables.baselines_tex(baselines, about))
    write_text(directory / "comparison.tex", paper_tables.comparison_tex(compared, statistics))
    write_text(directory / "costs.tex", cost_table.costs_tex(costs, settings.study))
    training_tex = training_cost_table.training_costs_tex(training_costs, settings.study)
    write_text(directory / "training_costs.tex", training_tex)
    write_text(directory / "tables.tex", document(list(columns)))
    return [
        *(directory / f"{name}.{kind}" for name in columns for kind in ("csv", "tex")),
        directory / "tables.tex",
    ]
