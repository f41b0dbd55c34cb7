"""Score one cell: the fused network, its experts and their averages, on the test images."""

from certifuse.steps.command import run_step
from certifuse.study.steps.training import EvaluateFusion


def run(step: EvaluateFusion, files: EvaluateFusion.Files) -> None:
    from certifuse.steps.evaluate_fusion import evaluate_fusion

    evaluate_fusion(step, files)


if __name__ == "__main__":
    run_step(EvaluateFusion, run)
