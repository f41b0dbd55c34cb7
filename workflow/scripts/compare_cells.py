"""Compare every fused network with its averaging baselines, on the same test images."""

from certifuse.steps.command import run_step
from certifuse.study.steps.gathering import CompareCells, GatheringFiles


def run(step: CompareCells, files: GatheringFiles) -> None:
    from certifuse.steps.compare_cells import compare_cells

    compare_cells(step, files)


if __name__ == "__main__":
    run_step(CompareCells, run)
