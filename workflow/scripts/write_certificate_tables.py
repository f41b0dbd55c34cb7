"""Write the tables of the certificates, as CSV and LaTeX."""

from certifuse.steps.command import add_file_options, run_step, step_parser

EXAMPLE = (
    "python workflow/scripts/write_certificate_tables.py --settings JSON --certificates certificates.csv "
    "--ledgers certificate_ledgers.csv --output-dir tables"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    add_file_options(parser, "certificates", "ledgers", "output-dir")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.base.manifest import SHARED_NAME, StepRecord
        from certifuse.reporting.certificates.frames import read_certificate_frames
        from certifuse.steps.write_certificate_tables import write_certificate_tables
        from certifuse.study.steps import TablesStep

        settings = TablesStep.from_json(arguments.settings)
        read = {"certificates": arguments.certificates, "ledgers": arguments.ledgers}
        record = StepRecord("write_certificate_tables", settings, read.values())
        written = write_certificate_tables(settings, read_certificate_frames(**read), arguments.output_dir)
        record.write(arguments.output_dir / SHARED_NAME.format(job="write_certificate_tables"), written)

    run_step(step)


if __name__ == "__main__":
    main()
