"""Drop copies and divide the other training images between experts, fusion, validation and certificate."""

from certifuse.steps.command import run_step
from certifuse.study.steps.data import SplitImages


def run(step: SplitImages, files: SplitImages.Files) -> None:
    from certifuse.steps.split_images import split_images

    split_images(step, files)


if __name__ == "__main__":
    run_step(SplitImages, run)
