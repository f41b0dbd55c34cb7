"""Score the experts before and after fine-tuning, their averages, and the single models, on the test images."""

from certifuse.steps.command import run_step
from certifuse.study.steps.training import EvaluateBaselines


def run(step: EvaluateBaselines, files: EvaluateBaselines.Files) -> None:
    from certifuse.steps.evaluate_baselines import evaluate_baselines

    evaluate_baselines(step, files)


if __name__ == "__main__":
    run_step(EvaluateBaselines, run)
