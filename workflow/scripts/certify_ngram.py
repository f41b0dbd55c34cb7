"""Code a table of token counts, decode it, and bound its loss on new documents."""

from pathlib import Path

from certifuse.steps.command import run_step, step_parser

EXAMPLE = (
    "python workflow/scripts/certify_ngram.py --settings JSON --ngram bigram --corpus results/data/corpus "
    "--output results/sublora/ngram_bigram --source 0123456789abcdef"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--ngram", required=True, help="uniform, unigram or bigram")
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="the prepared corpus")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="directory of the certificate")
    parser.add_argument("--source", required=True, help="fingerprint of the source that runs")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.certify_ngram import CertifyNgramFiles, certify_ngram
        from certifuse.study.steps import CertifyNgramStep

        files = CertifyNgramFiles(corpus=arguments.corpus, directory=arguments.output, source=arguments.source)
        certify_ngram(CertifyNgramStep.from_json(arguments.settings), arguments.ngram, files)

    run_step(step)


if __name__ == "__main__":
    main()
