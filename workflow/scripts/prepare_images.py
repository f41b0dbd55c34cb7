"""Read the images of a source and write them as one file of uint8 tensors."""

from certifuse.steps.command import run_step
from certifuse.study.steps.data import PrepareImages


def run(step: PrepareImages, files: PrepareImages.Files) -> None:
    from certifuse.steps.prepare_images import prepare_images

    prepare_images(step, files)


if __name__ == "__main__":
    run_step(PrepareImages, run)
