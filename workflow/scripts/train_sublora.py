"""Pre-train one language model in a subspace, at full precision and then quantised to every number of levels."""

from pathlib import Path

from certifuse.steps.command import add_run_options, run_step, step_parser

EXAMPLE = (
    "python workflow/scripts/train_sublora.py --settings JSON --corpus results/data/corpus --dim 1000 --mode learned "
    "--seed 42 ...   (snakemake -p prints the whole line)"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="the prepared corpus")
    parser.add_argument("--dim", type=int, required=True, help="d: the numbers to train")
    parser.add_argument("--mode", required=True, help="what they steer")
    parser.add_argument("--learned", type=Path, nargs="*", metavar="FILE", help="weights of mode learned, for a null")
    add_run_options(parser)
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.train_sublora import SubloraFiles, train_sublora
        from certifuse.study.cells import SubloraCell
        from certifuse.study.steps import TrainSubloraStep
        from certifuse.training.loop.record import run_files

        learned = arguments.learned[0] if arguments.learned else None
        files = SubloraFiles(**run_files(arguments), corpus=arguments.corpus, learned=learned)
        cell = SubloraCell(arguments.dim, arguments.mode, arguments.seed)
        train_sublora(TrainSubloraStep.from_json(arguments.settings), cell, files)

    run_step(step)


if __name__ == "__main__":
    main()
