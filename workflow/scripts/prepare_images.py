"""Read the images of a source and write them as one file of uint8 tensors."""

from certifuse.steps.command import add_download_option, add_file_options, run_step, step_parser

EXAMPLE = """python workflow/scripts/prepare_images.py --settings '{"data": {"source": "digits"}}' --output images.st"""


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    add_file_options(parser, "output")
    add_download_option(parser)
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.prepare_images import prepare_images
        from certifuse.study.steps import PrepareStep

        prepare_images(PrepareStep.from_json(arguments.settings), arguments.output, download=bool(arguments.download))

    run_step(step)


if __name__ == "__main__":
    main()
