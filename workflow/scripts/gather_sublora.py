"""Gather the certificates of all language models into tables, with their ledgers, logs and what is missing."""

from certifuse.steps.command import add_file_options, run_step, step_parser

EXAMPLE = "python workflow/scripts/gather_sublora.py --settings JSON --results-dir results"


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    add_file_options(parser, "results-dir")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.gather_sublora import gather_sublora
        from certifuse.study.steps import GatherSubloraStep

        gather_sublora(GatherSubloraStep.from_json(arguments.settings), arguments.results_dir)

    run_step(step)


if __name__ == "__main__":
    main()
