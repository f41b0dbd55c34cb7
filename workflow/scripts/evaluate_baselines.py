"""Score the experts before and after fine-tuning, their averages, and the single models, on the test images."""

from pathlib import Path

from certifuse.steps.command import add_file_options, run_step, step_parser

EXAMPLE = (
    "python workflow/scripts/evaluate_baselines.py --settings JSON --architecture resnet --seed 0 "
    "--experts expert_0_best.safetensors ... --images images.safetensors --splits splits.safetensors --output DIR"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--architecture", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--experts", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--finetuned", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--single", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--wider", type=Path, nargs="*", default=[], metavar="FILE")
    add_file_options(parser, "images", "splits", "output")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.evaluate_baselines import evaluate_baselines
        from certifuse.study.steps import EvaluationStep

        evaluate_baselines(
            EvaluationStep.from_json(arguments.settings),
            {"architecture": arguments.architecture, "seed": arguments.seed},
            {"before": arguments.experts, "finetuned": arguments.finetuned},
            {"single": arguments.single, "single_wider": arguments.wider},
            arguments.images,
            arguments.splits,
            arguments.output,
        )

    run_step(step)


if __name__ == "__main__":
    main()
