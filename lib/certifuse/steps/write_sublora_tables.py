"""Write the tables of the language models: CSV with every digit, LaTeX to include, and a document of all. Seconds.

Reads the gathered certificates, splits, terms and ledgers. The page of questions and answers is Markdown too.
"""

from certifuse.base.files import write_text
from certifuse.base.manifest import SHARED_NAME, StepRecord
from certifuse.reporting.frames import read_frames
from certifuse.reporting.sublora.frames import SCHEMAS
from certifuse.reporting.sublora.page import page_md, sections
from certifuse.reporting.sublora.tables import sublora_tables
from certifuse.reporting.tables import write_tables
from certifuse.study.steps.reporting import WriteSubloraTables


def write_sublora_tables(step: WriteSubloraTables, files: WriteSubloraTables.Files) -> None:
    """Write the tables, `hypotheses.md`, `sublora_tables.tex` of all tables, and a manifest."""
    read = {name: getattr(files, name) for name in ("metrics", "gates", "missing", "terms", "ledgers")}
    record = StepRecord(step, files.source, read.values())
    frames, page = read_frames(read, SCHEMAS), files.output_dir / "hypotheses.md"
    tables = sublora_tables(frames, step.study, step.confidence)
    written = write_tables(files.output_dir, tables, "sublora_tables")
    write_text(page, page_md(sections(frames, step.study, step.confidence)))
    record.write(files.output_dir / SHARED_NAME.format(job=step.rule), [*written, page])
