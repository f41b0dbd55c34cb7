"""Read the documents of a source and write them as tokens, with offsets and a manifest."""

from pathlib import Path

from certifuse.steps.command import add_download_option, run_step, step_parser

EXAMPLE = (
    """python workflow/scripts/prepare_corpus.py --settings '{"corpus": {"source": "python_docs"}}' --directory D"""
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--directory", type=Path, required=True, help="where the prepared corpus is written")
    add_download_option(parser)
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.prepare_corpus import prepare_corpus
        from certifuse.study.steps import PrepareCorpusStep

        settings = PrepareCorpusStep.from_json(arguments.settings)
        prepare_corpus(settings, arguments.directory, download=bool(arguments.download))

    run_step(step)


if __name__ == "__main__":
    main()
