"""Train a fused network in a random subspace, and certify it at every number of levels."""

from pathlib import Path

from certifuse.steps.command import add_training_options, run_step, step_parser

EXAMPLE = (
    "python workflow/scripts/certify_subspace.py --settings JSON --architecture resnet --fusion concatenation "
    "--lambda 1.0 --seed 0 --dim 64 --experts expert_0_best.safetensors ...   (snakemake -p prints the whole line)"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--architecture", required=True, help="name of the experts' architecture")
    parser.add_argument("--fusion", required=True, help="fusion rule")
    parser.add_argument("--lambda", dest="lam", required=True, help="weight of the individual losses")
    parser.add_argument("--dim", type=int, required=True, help="dimension of the subspace")
    parser.add_argument("--experts", type=Path, nargs="+", required=True, metavar="FILE", help="pre-trained experts")
    parser.add_argument("--expert-manifests", type=Path, nargs="+", required=True, metavar="FILE", help="theirs")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="one directory per level below it")
    add_training_options(parser)
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.certificates.images.issue import Evidence
        from certifuse.steps.certify_subspace import certify_subspace
        from certifuse.study.cells import CertifiedCell
        from certifuse.study.steps import CertifyStep
        from certifuse.training.loop.record import step_files

        settings, files = CertifyStep.from_json(arguments.settings), step_files(arguments)
        cell = CertifiedCell(arguments.architecture, arguments.fusion, arguments.lam, arguments.seed)
        experts = list(zip(arguments.experts, arguments.expert_manifests, strict=True))
        threads = settings.execution.threads
        evidence = Evidence(files.images, files.splits, experts, settings.delta, threads, arguments.source)
        certify_subspace(settings, cell, arguments.dim, evidence, files)

    run_step(step)


if __name__ == "__main__":
    main()
