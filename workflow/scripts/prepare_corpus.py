"""Read the documents of a source and write them as tokens, with offsets and a manifest."""

from pathlib import Path

from certifuse.cli.step import add_download_option, run_step, step_parser

EXAMPLE = (
    """python workflow/scripts/prepare_corpus.py --settings '{"corpus": {"source": "python_docs"}}' --directory D"""
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    parser.add_argument("--directory", type=Path, required=True, help="where the prepared corpus is written")
    add_download_option(parser)
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.recipes.prepare_corpus import PrepareCorpusStep, prepare_corpus

        settings = PrepareCorpusStep.from_json(arguments.settings)
        prepare_corpus(settings, arguments.directory, download=bool(arguments.download))

    run_step(step)


if __name__ == "__main__":
    main()
