"""Write the tables of the SubLoRA study, as CSV and LaTeX, and the page of its questions, as Markdown and LaTeX."""

from certifuse.steps.command import add_file_options, run_step, step_parser

EXAMPLE = (
    "python workflow/scripts/write_sublora_tables.py --settings JSON --metrics sublora.csv --gates sublora_gates.csv "
    "--missing missing_sublora.csv --terms sublora_terms.csv --ledgers sublora_ledgers.csv --output-dir tables/sublora"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    add_file_options(parser, "metrics", "gates", "missing", "terms", "ledgers", "output-dir")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.base.manifest import SHARED_NAME, StepRecord
        from certifuse.reporting.frames import read_frame
        from certifuse.reporting.sublora.frames import LEDGERS, TERMS, read_sublora_frames
        from certifuse.steps.write_sublora_tables import write_sublora_tables
        from certifuse.study.steps import TablesStep

        settings = TablesStep.from_json(arguments.settings)
        read = {name: getattr(arguments, name) for name in ("metrics", "gates", "missing")}
        record = StepRecord("write_sublora_tables", settings, [*read.values(), arguments.terms, arguments.ledgers])
        terms, ledgers = read_frame(arguments.terms, TERMS), read_frame(arguments.ledgers, LEDGERS)
        written = write_sublora_tables(settings, read_sublora_frames(**read), terms, ledgers, arguments.output_dir)
        record.write(arguments.output_dir / SHARED_NAME.format(job="write_sublora_tables"), written)

    run_step(step)


if __name__ == "__main__":
    main()
