"""Write the start page of a study: one HTML file with the answers, every figure and every table."""

from certifuse.steps.command import run_step
from certifuse.study.steps.reporting import WriteStartPage


def run(step: WriteStartPage, files: WriteStartPage.Files) -> None:
    from certifuse.steps.write_start_page import write_start_page

    write_start_page(step, files)


if __name__ == "__main__":
    run_step(WriteStartPage, run)
