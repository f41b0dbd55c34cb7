"""Code a language model that was trained in a subspace, decode it, and bound its loss on new documents."""

from pathlib import Path

from certifuse.steps.command import run_step, step_parser

EXAMPLE = (
    "python workflow/scripts/certify_sublora.py --settings JSON --dim 1000 --mode learned --seed 42 --levels 3 "
    "--weights results/sublora/d_1000_learned_seed_42/weights_levels_3.safetensors --corpus results/data/corpus ..."
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--dim", type=int, required=True, help="d: the numbers that were trained")
    parser.add_argument("--mode", required=True, help="what they steer")
    parser.add_argument("--seed", type=int, required=True, help="seed of the training")
    parser.add_argument("--levels", type=int, required=True, help="levels of the quantised numbers")
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE", help="the numbers")
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="the prepared corpus")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="directory of the certificate")
    parser.add_argument("--source", required=True, help="fingerprint of the source that runs")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.certify_sublora import CertifySubloraFiles, certify_sublora
        from certifuse.study.cells import SubloraCell
        from certifuse.study.steps import CertifySubloraStep

        files = CertifySubloraFiles(
            weights=arguments.weights, corpus=arguments.corpus, directory=arguments.output, source=arguments.source
        )
        cell = SubloraCell(arguments.dim, arguments.mode, arguments.seed)
        certify_sublora(CertifySubloraStep.from_json(arguments.settings), cell, arguments.levels, files)

    run_step(step)


if __name__ == "__main__":
    main()
