"""Write the tables of the fusion study, as CSV and LaTeX."""

from certifuse.steps.command import run_step
from certifuse.study.steps.reporting import WriteTables


def run(step: WriteTables, files: WriteTables.Files) -> None:
    from certifuse.steps.write_tables import write_tables

    write_tables(step, files)


if __name__ == "__main__":
    run_step(WriteTables, run)
