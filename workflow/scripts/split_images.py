"""Drop copies and divide the other training images between experts, fusion, validation and certificate."""

from certifuse.steps.command import add_file_options, run_step, step_parser

EXAMPLE = (
    'python workflow/scripts/split_images.py --settings \'{"scheme": "iid"}\' '
    "--images images.safetensors --output splits.safetensors --summary splits.json"
)


def main() -> None:
    parser = step_parser(__doc__, EXAMPLE)
    add_file_options(parser, "images", "output", "summary")
    arguments = parser.parse_args()

    def step() -> None:
        from certifuse.steps.split_images import split_images
        from certifuse.study.settings.data import SplitSettings

        split_images(arguments.images, SplitSettings.from_json(arguments.settings), arguments.output, arguments.summary)

    run_step(step)


if __name__ == "__main__":
    main()
