"""Write the tables of the certificates as CSV with every digit, and as LaTeX."""

from pathlib import Path

from certifuse.base.files import write_text
from certifuse.base.rows import write_rows
from certifuse.reporting.certificates import tables as certificate_tables
from certifuse.reporting.certificates import tex as certificate_tex
from certifuse.reporting.certificates.frames import CertificateFrames
from certifuse.reporting.latex import document
from certifuse.study.steps import TablesStep


def write_certificate_tables(settings: TablesStep, frames: CertificateFrames, directory: Path) -> list[Path]:
    """Write certificates and ledger (.csv and .tex), `crossings.csv`, and `certificate_tables.tex`, to compile.

    Returns the paths.
    """
    rows = {
        "certificates": certificate_tables.certificate_rows(frames.certificates),
        "certificate_ledger": certificate_tables.ledger_rows(frames.certificates, frames.ledgers),
        "crossings": certificate_tables.crossing_rows(frames.certificates),
    }
    for name, columns in certificate_tables.COLUMNS.items():
        write_rows(directory / f"{name}.csv", rows[name], columns)
    texts = {
        "certificates": certificate_tex.certificates_tex(rows["certificates"], settings.study),
        "certificate_ledger": certificate_tex.ledger_tex(rows["certificate_ledger"], settings.study),
    }
    for name, text in texts.items():
        write_text(directory / f"{name}.tex", text)
    write_text(directory / "certificate_tables.tex", document(list(texts)))
    names = [*(f"{name}.csv" for name in rows), *(f"{name}.tex" for name in (*texts, "certificate_tables"))]
    return [directory / name for name in names]
