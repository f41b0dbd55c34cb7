"""Gather the learned splits of all language models into a table, with what is missing."""

from certifuse.steps.command import add_file_options, run_step, step_parser

EXAMPLE = "python workflow/scripts/gather_gates.py --settings JSON --results-dir results"


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    add_file_options(parser, "results-dir")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.gather_gates import gather_gates
        from certifuse.study.steps import GatherGatesStep

        gather_gates(GatherGatesStep.from_json(arguments.settings), arguments.results_dir)

    run_step(step)


if __name__ == "__main__":
    main()
