"""Train one cell: experts, fusion module and global head together, or the experts alone as control."""

from pathlib import Path

from certifuse.steps.command import add_training_options, run_step, step_parser

EXAMPLE = (
    "python workflow/scripts/train_fusion.py --settings JSON --architecture resnet --fusion concatenation "
    "--lambda 1.0 --seed 0 --experts expert_0_best.safetensors ...   (snakemake -p prints the whole line)"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--architecture", required=True, help="name of the experts' architecture")
    parser.add_argument("--fusion", help="fusion rule; leave out to fine-tune the experts without one")
    parser.add_argument("--lambda", dest="lam", default="none", help="weight of the individual losses")
    parser.add_argument("--experts", type=Path, nargs="+", required=True, metavar="FILE", help="pre-trained experts")
    add_training_options(parser)
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.train_fusion import train_fusion
        from certifuse.study.cells import CellName
        from certifuse.study.steps import FusionStep
        from certifuse.training.loop.record import step_files

        cell = CellName(arguments.architecture, arguments.fusion, arguments.lam, arguments.seed)
        train_fusion(FusionStep.from_json(arguments.settings), cell, step_files(arguments))

    run_step(step)


if __name__ == "__main__":
    main()
