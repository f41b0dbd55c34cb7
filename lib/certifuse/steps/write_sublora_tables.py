"""Write the tables of the SubLoRA study as CSV with every digit and as LaTeX, and the page of its questions."""

from pathlib import Path

import pandas as pd

from certifuse.base.files import write_text
from certifuse.base.rows import write_rows
from certifuse.reporting.latex import document
from certifuse.reporting.sublora import answers as sublora_answers
from certifuse.reporting.sublora import contrasts as sublora_contrasts
from certifuse.reporting.sublora import page as sublora_page
from certifuse.reporting.sublora import tables as sublora_tables
from certifuse.reporting.sublora import terms as sublora_terms
from certifuse.reporting.sublora.frames import SubloraFrames
from certifuse.reporting.sublora.questions import answers
from certifuse.reporting.sublora.tex import contrasts_tex, ledger_tex, summary_tex, terms_tex
from certifuse.study.steps import TablesStep

COLUMNS = {
    **sublora_tables.COLUMNS,
    "terms": sublora_terms.COLUMNS,
    "contrasts": sublora_contrasts.COLUMNS,
    "hypotheses": sublora_answers.COLUMNS,
}


def write_sublora_tables(
    settings: TablesStep, frames: SubloraFrames, terms: pd.DataFrame, ledgers: pd.DataFrame, directory: Path
) -> list[Path]:
    """Write all of `COLUMNS` (.csv and .tex), `hypotheses.md`, and `sublora_tables.tex`, to compile as it stands.

    Returns the paths.
    """
    study, confidence = settings.study, settings.statistics.confidence
    rows = {
        "summary_table": sublora_tables.summary_rows(frames, confidence),
        "ledger": sublora_tables.ledger_rows(frames, ledgers),
        "terms": sublora_terms.terms_rows(frames.metrics, terms),
        "contrasts": sublora_contrasts.contrast_rows(sublora_contrasts.contrasts(frames, confidence)),
        "hypotheses": sublora_answers.answer_rows(answers(frames, confidence)),
    }
    page = sublora_page.sections(frames, study, confidence)
    texts = {
        "summary_table.tex": summary_tex(rows["summary_table"], study, confidence),
        "ledger.tex": ledger_tex(rows["ledger"], study),
        "terms.tex": terms_tex(rows["terms"], study),
        "contrasts.tex": contrasts_tex(rows["contrasts"], study, confidence),
        "hypotheses.tex": sublora_page.page_tex(page),
        "hypotheses.md": sublora_page.page_md(page),
        "sublora_tables.tex": document(list(COLUMNS)),
    }
    for name, columns in COLUMNS.items():
        write_rows(directory / f"{name}.csv", rows[name], columns)
    for name, text in texts.items():
        write_text(directory / name, text)
    return [directory / name for name in (*(f"{name}.csv" for name in COLUMNS), *texts)]
