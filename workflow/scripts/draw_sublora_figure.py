"""Draw one figure of the SubLoRA study, as PNG and PDF.

pareto_frontier, compression_comparison and learned_gating_heatmap are of one budget and need --budget. All but the two
of gating need --metrics.
"""

from pathlib import Path

from certifuse.steps.command import add_file_options, run_step, step_parser
from certifuse.study.settings.figures import SUBLORA_FIGURES, SUBLORA_GATE_FIGURES

EXAMPLE = (
    "python workflow/scripts/draw_sublora_figure.py --settings JSON --figure pareto_frontier --budget 1000 "
    "--metrics sublora.csv --gates sublora_gates.csv --missing missing_sublora.csv --png figure.png --pdf figure.pdf"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--figure", required=True, choices=SUBLORA_FIGURES)
    parser.add_argument("--budget", type=int, metavar="D", help="the budget d of a figure of one budget")
    add_file_options(parser, "gates", "missing", "png", "pdf")
    parser.add_argument("--metrics", type=Path, nargs="?", metavar="FILE", help="not needed for figures of gates alone")
    arguments = parser.parse_args()
    if arguments.metrics is None and arguments.figure not in SUBLORA_GATE_FIGURES:
        parser.error(f"figure {arguments.figure}: expected --metrics FILE, found none")

    def step() -> None:
        from certifuse.base.manifest import StepRecord, shared_manifest
        from certifuse.reporting.sublora.frames import read_sublora_frames
        from certifuse.steps.draw_sublora_figure import draw_sublora_figure
        from certifuse.study.steps import FigureStep

        settings, budget = FigureStep.from_json(arguments.settings), arguments.budget
        read = {name: getattr(arguments, name) for name in ("metrics", "gates", "missing")}
        kind = "gates" if arguments.figure in SUBLORA_GATE_FIGURES else "sublora"
        rule = f"draw_{kind}_figure" if budget is None else f"draw_{kind}_budget_figure"
        record = StepRecord(rule, settings, filter(None, read.values()))
        frames = read_sublora_frames(**read)
        draw_sublora_figure(settings, arguments.figure, budget, frames, arguments.png, arguments.pdf)
        identity = {"figure": arguments.figure} | ({} if budget is None else {"d": budget})
        record.write(shared_manifest(arguments.png), [arguments.png, arguments.pdf], identity)

    run_step(step)


if __name__ == "__main__":
    main()
