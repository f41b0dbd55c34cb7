"""Certify a jointly trained model: on images that it never touched, and by coding all of its weights."""

from pathlib import Path

from certifuse.steps.command import add_file_options, run_step, step_parser

EXAMPLE = (
    "python workflow/scripts/certify_joint.py --settings JSON --architecture resnet --fusion concatenation "
    "--lambda 1.0 --seed 0 --components results/fusion_checkpoints/...   (snakemake -p prints the whole line)"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--architecture", required=True, help="name of the experts' architecture")
    parser.add_argument("--fusion", required=True, help="fusion rule")
    parser.add_argument("--lambda", dest="lam", required=True, help="weight of the individual losses")
    parser.add_argument("--seed", type=int, required=True, help="seed of the cell")
    parser.add_argument("--source", required=True, help="fingerprint of the source that runs")
    parser.add_argument("--experts", type=Path, nargs="+", required=True, metavar="FILE", help="pre-trained experts")
    parser.add_argument("--expert-manifests", type=Path, nargs="+", required=True, metavar="FILE", help="theirs")
    parser.add_argument("--components", type=Path, required=True, metavar="DIR", help="the jointly trained model")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="directory of the certificate")
    add_file_options(parser, "images", "splits")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.certificates.images.issue import Evidence
        from certifuse.steps.certify_joint import certify_joint
        from certifuse.study.cells import CertifiedCell
        from certifuse.study.steps import CertifyJointStep

        settings = CertifyJointStep.from_json(arguments.settings)
        cell = CertifiedCell(arguments.architecture, arguments.fusion, arguments.lam, arguments.seed)
        experts = list(zip(arguments.experts, arguments.expert_manifests, strict=True))
        evidence = Evidence(
            arguments.images, arguments.splits, experts, settings.delta, settings.threads, arguments.source
        )
        certify_joint(settings, cell, arguments.components, evidence, arguments.output)

    run_step(step)


if __name__ == "__main__":
    main()
