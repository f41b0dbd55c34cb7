"""Draw one figure from the gathered certificates, as PNG and PDF."""

from certifuse.steps.command import add_file_options, run_step, step_parser
from certifuse.study.settings.figures import CERTIFICATE_FIGURES

EXAMPLE = (
    "python workflow/scripts/draw_certificate_figure.py --settings JSON --figure certified_vs_dimension "
    "--certificates certificates.csv --ledgers certificate_ledgers.csv --png figure.png --pdf figure.pdf"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--figure", required=True, choices=CERTIFICATE_FIGURES)
    add_file_options(parser, "certificates", "ledgers", "png", "pdf")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.base.manifest import StepRecord, shared_manifest
        from certifuse.reporting.certificates.frames import read_certificate_frames
        from certifuse.steps.draw_certificate_figure import draw_certificate_figure
        from certifuse.study.steps import FigureStep

        settings = FigureStep.from_json(arguments.settings)
        read = {"certificates": arguments.certificates, "ledgers": arguments.ledgers}
        record = StepRecord("draw_certificate_figure", settings, read.values())
        frames = read_certificate_frames(**read)
        draw_certificate_figure(settings, arguments.figure, frames, arguments.png, arguments.pdf)
        written = [arguments.png, arguments.pdf]
        record.write(shared_manifest(arguments.png), written, {"figure": arguments.figure})

    run_step(step)


if __name__ == "__main__":
    main()
