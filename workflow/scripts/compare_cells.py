"""Compare every fused network with its averaging baselines, on the same test images."""

from certifuse.steps.command import add_file_options, run_step, step_parser

EXAMPLE = (
    'python workflow/scripts/compare_cells.py --settings \'{"grid": [...], "statistics": {}}\' --results-dir results'
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    add_file_options(parser, "results-dir")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.compare_cells import compare_cells
        from certifuse.study.steps import CompareStep

        compare_cells(CompareStep.from_json(arguments.settings), arguments.results_dir)

    run_step(step)


if __name__ == "__main__":
    main()
