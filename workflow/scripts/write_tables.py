"""Write the tables of the paper, as CSV and LaTeX."""

from certifuse.steps.command import add_file_options, run_step, step_parser

EXAMPLE = (
    "python workflow/scripts/write_tables.py --settings JSON --summary summary.csv --comparison comparison.csv "
    "--missing missing.csv --costs costs.csv --output-dir tables"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    add_file_options(parser, "summary", "comparison", "missing", "costs", "output-dir")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.base.manifest import SHARED_NAME, StepRecord
        from certifuse.reporting.frames import COMPARISON, COSTS, MISSING, SUMMARY, read_frame
        from certifuse.steps.write_tables import write_tables
        from certifuse.study.steps import TablesStep

        settings = TablesStep.from_json(arguments.settings)
        sources = [arguments.summary, arguments.comparison, arguments.missing, arguments.costs]
        record = StepRecord("write_tables", settings, sources)
        written = write_tables(
            settings,
            read_frame(arguments.summary, SUMMARY),
            read_frame(arguments.comparison, COMPARISON),
            read_frame(arguments.missing, MISSING),
            read_frame(arguments.costs, COSTS),
            arguments.output_dir,
        )
        record.write(arguments.output_dir / SHARED_NAME.format(job="write_tables"), written)

    run_step(step)


if __name__ == "__main__":
    main()
