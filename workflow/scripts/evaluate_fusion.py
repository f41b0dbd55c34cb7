"""Score one cell from its saved components: the fused network, its experts and their averages, on the test images."""

from pathlib import Path

from certifuse.steps.command import add_file_options, run_step, step_parser

EXAMPLE = (
    "python workflow/scripts/evaluate_fusion.py --settings JSON --architecture resnet --fusion concatenation "
    "--lambda 1.0 --seed 0 --components DIR --images images.safetensors --splits splits.safetensors --output DIR"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--architecture", required=True)
    parser.add_argument("--fusion", required=True)
    parser.add_argument("--lambda", dest="lam", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--components", type=Path, required=True, metavar="DIR")
    add_file_options(parser, "images", "splits", "output")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.evaluate_fusion import evaluate_fusion
        from certifuse.study.steps import EvaluationStep

        evaluate_fusion(
            EvaluationStep.from_json(arguments.settings),
            {
                "architecture": arguments.architecture,
                "fusion": arguments.fusion,
                "lambda": arguments.lam,
                "seed": arguments.seed,
            },
            arguments.components,
            arguments.images,
            arguments.splits,
            arguments.output,
        )

    run_step(step)


if __name__ == "__main__":
    main()
