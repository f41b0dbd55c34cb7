"""Train one expert on its share of the pool, or the single model on all training images."""

from certifuse.steps.command import add_file_options, add_training_options, run_step, step_parser

EXAMPLE = (
    "python workflow/scripts/pretrain_expert.py --settings JSON --member expert_0 --seed 0 --images images.safetensors "
    "--splits splits.safetensors --output expert_0_best.safetensors ...   (snakemake -p prints the whole line)"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--member", required=True, help="expert_0, expert_1, ... or single")
    add_training_options(parser)
    add_file_options(parser, "output")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.pretrain_expert import pretrain_expert
        from certifuse.study.steps import PretrainStep
        from certifuse.training.loop.record import step_files

        files = step_files(arguments)
        pretrain_expert(PretrainStep.from_json(arguments.settings), arguments.member, arguments.seed, files)

    run_step(step)


if __name__ == "__main__":
    main()
