"""Gather all certificates into one table, with their ledgers and the list of missing ones."""

from certifuse.steps.command import add_file_options, run_step, step_parser

EXAMPLE = "python workflow/scripts/gather_certificates.py --settings JSON --results-dir results"


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    add_file_options(parser, "results-dir")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.gather_certificates import gather_certificates
        from certifuse.study.steps import GatherCertificatesStep

        gather_certificates(GatherCertificatesStep.from_json(arguments.settings), arguments.results_dir)

    run_step(step)


if __name__ == "__main__":
    main()
