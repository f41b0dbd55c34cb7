"""Draw one figure from the gathered results, as PNG and PDF."""

from certifuse.cli.step import add_file_options, run_step, step_parser
from certifuse.settings.figures import FIGURES

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
        from certifuse.recipes.draw_figure import draw_figure
        from certifuse.reporting.frames import read_frames
        from certifuse.reporting.style import FigureStep

        frames = read_frames(
            summary=arguments.summary,
            logs=arguments.logs,
            calibration=arguments.calibration,
            comparison=arguments.comparison,
            missing=arguments.missing,
        )
        draw_figure(FigureStep.from_json(arguments.settings), arguments.figure, frames, arguments.png, arguments.pdf)

    run_step(step)


if __name__ == "__main__":
    main()
