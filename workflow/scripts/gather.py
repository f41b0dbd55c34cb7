"""Gather the scores of all cells into one table, with the training logs and the list of missing cells."""

from certifuse.steps.command import add_file_options, run_step, step_parser

EXAMPLE = "python workflow/scripts/gather.py --settings '{\"grid\": [...]}' --results-dir results"


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    add_file_options(parser, "results-dir")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.gather import gather
        from certifuse.study.steps import GatherStep

        gather(GatherStep.from_json(arguments.settings), arguments.results_dir)

    run_step(step)


if __name__ == "__main__":
    main()
