"""Write the tables of the certificates: CSV with every digit, LaTeX to include, and a document of all. Seconds.

Reads the gathered certificates and their ledgers.
"""

from certifuse.base.manifest import SHARED_NAME, StepRecord
from certifuse.reporting.certificates.frames import SCHEMAS
from certifuse.reporting.certificates.tables import certificate_tables
from certifuse.reporting.frames import read_frames
from certifuse.reporting.tables import write_tables
from certifuse.study.steps.reporting import WriteCertificateTables


def write_certificate_tables(step: WriteCertificateTables, files: WriteCertificateTables.Files) -> None:
    """Write certificates, ledger and crossings, `certificate_tables.tex` of the first two, and a manifest."""
    read = {"certificates": files.certificates, "ledgers": files.ledgers}
    record = StepRecord(step, files.source, read.values())
    written = write_tables(
        files.output_dir, certificate_tables(read_frames(read, SCHEMAS), step.study), "certificate_tables"
    )
    record.write(files.output_dir / SHARED_NAME.format(job=step.rule), written)
