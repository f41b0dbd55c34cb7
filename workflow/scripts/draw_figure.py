"""Draw one figure from the gathered results, as PNG and PDF."""

from certifuse.steps.command import add_file_options, run_step, step_parser
from certifuse.study.settings.figures import FIGURES

EXAMPLE = (
    "python workflow/scripts/draw_figure.py --settings JSON --figure lambda_ablation --summary summary.csv "
    "--logs logs.csv --calibration calibration.csv --comparison comparison.csv --missing missing.csv "
    "--png lambda_ablation.png --pdf lambda_ablation.pdf"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--figure", required=True, choices=FIGURES)
    add_file_options(parser, "summary", "logs", "calibration", "comparison", "missing", "png", "pdf")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.base.manifest import StepRecord, shared_manifest
        from certifuse.reporting.frames import read_frames
        from certifuse.steps.draw_figure import draw_figure
        from certifuse.study.steps import FigureStep

        settings = FigureStep.from_json(arguments.settings)
        read = {name: getattr(arguments, name) for name in ("summary", "logs", "calibration", "comparison", "missing")}
        record = StepRecord("draw_figure", settings, read.values())
        draw_figure(settings, arguments.figure, read_frames(**read), arguments.png, arguments.pdf)
        written = [arguments.png, arguments.pdf]
        record.write(shared_manifest(arguments.png), written, {"figure": arguments.figure})

    run_step(step)


if __name__ == "__main__":
    main()
