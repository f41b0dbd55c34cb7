"""Write the tables of the language models, as CSV and LaTeX, and the page of their questions."""

from certifuse.steps.command import run_step
from certifuse.study.steps.reporting import WriteSubloraTables


def run(step: WriteSubloraTables, files: WriteSubloraTables.Files) -> None:
    from certifuse.steps.write_sublora_tables import write_sublora_tables

    write_sublora_tables(step, files)


if __name__ == "__main__":
    run_step(WriteSubloraTables, run)
