"""Write the tables of the certificates, as CSV and LaTeX."""

from certifuse.steps.command import run_step
from certifuse.study.steps.reporting import WriteCertificateTables


def run(step: WriteCertificateTables, files: WriteCertificateTables.Files) -> None:
    from certifuse.steps.write_certificate_tables import write_certificate_tables

    write_certificate_tables(step, files)


if __name__ == "__main__":
    run_step(WriteCertificateTables, run)
