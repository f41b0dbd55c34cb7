"""Write the tables of the fusion study: CSV with every digit, LaTeX to include, and a document of all. Seconds.

Reads the gathered scores, comparisons and costs.
"""

from certifuse.base.manifest import SHARED_NAME, StepRecord
from certifuse.reporting.frames import read_frames
from certifuse.reporting.fusion.frames import SCHEMAS
from certifuse.reporting.fusion.tables import fusion_tables
from certifuse.reporting.tables import write_tables as write
from certifuse.study.steps.reporting import WriteTables


def write_tables(step: WriteTables, files: WriteTables.Files) -> None:
    """Write results, baselines, comparison, both tables of costs, `tables.tex` of them all, and a manifest."""
    read = {name: getattr(files, name) for name in ("summary", "missing", "comparison", "costs")}
    record = StepRecord(step, files.source, read.values())
    written = write(files.output_dir, fusion_tables(read_frames(read, SCHEMAS), step), "tables")
    record.write(files.output_dir / SHARED_NAME.format(job=step.rule), written)
