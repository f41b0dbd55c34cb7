"""docs/results/cifar100_evening/README.md."""

from typing import Any

import pytest

from certifuse.models.components.assembly import build_expert, expert_spec
from certifuse.reporting.fusion.runs import best_epochs
from certifuse.study.settings.evaluation import StatisticsSettings

SUMMARY = "fusion_performance_summary.csv"
FINETUNED = "probability_average_finetuned"
BASELINES = {
    "experts, pre-trained (mean of four)": "before",
    "average of the pre-trained experts": "probability_average_before",
    "linear stacking of the pre-trained experts": "stacking_before",
    "**average of the experts, fine-tuned on the same images**": FINETUNED,
    "one network of an expert's size on all images": "single",
}
RULES = ("concatenation", "simpleAddition", "multiplicative", "TransformerBase", "multiplicativeAddition")


@pytest.fixture(scope="module")
def page(page_of: Any) -> Any:
    return page_of("cifar100_evening")


def top1(page: Any, table: str, predictor: str, **cell: Any) -> float:
    """Of a predictor; of `before` or `after`, the mean over the experts."""
    if predictor not in ("before", "after"):
        return float(page.row(f"tables/{table}.csv", predictor=predictor, **cell).top1_percent_mean)
    experts = [
        page.row(f"tables/{table}.csv", predictor=f"expert_{i}_{predictor}", **cell).top1_percent_mean for i in range(4)
    ]
    return float(sum(experts) / 4)


def difference(page: Any, predictor: str = "fused", **cell: Any) -> str:
    """To the fine-tuned average in points, with the bootstrap interval over test images."""
    row = page.row("tables/comparison.csv", predictor=predictor, baseline=FINETUNED, **cell)
    return f"{row.difference_points:+.2f} ({row.low_points:+.2f} to {row.high_points:+.2f})"


def lambda_line(page: Any, lam: str) -> str:
    cell = {"fusion": "concatenation", "lam": lam}
    values = [top1(page, "results", name, **cell) for name in ("fused", "after", "probability_average_after")]
    (run,) = (row for _, row in best(page).query("fusion == 'concatenation'").iterrows() if row["lambda"] == lam)
    return (
        f"| {lam} | {values[0]:.2f} | {difference(page, **cell)} | {values[1]:.2f} | {values[2]:.2f} "
        f"| {run.path_gradient_cosine:.2f} |"
    )


def rule_line(page: Any, rule: str) -> str:
    cell = {"fusion": rule, "lam": "1"}
    both = top1(page, "results", "fused_plus_experts", **cell)
    return f"| {rule} | {top1(page, 'results', 'fused', **cell):.2f} | {difference(page, **cell)} | {both:.2f} |"


def baseline_line(page: Any, name: str) -> str:
    predictor = BASELINES[name]
    one = top1(page, "baselines", predictor)
    if predictor == "stacking_before":
        return f"| {name} | {one:.2f} | |"
    two = [f"expert_{i}_before_two_views" for i in range(4)] if predictor == "before" else [f"{predictor}_two_views"]
    both = sum(top1(page, "baselines", own) for own in two) / len(two)
    return f"| {name} | {one:.2f} | {both:.2f} |"


def best(page: Any) -> Any:
    """The best epoch of every fused network, after the training logs."""
    return best_epochs(page.table("training_logs.csv"), StatisticsSettings().convergence_tolerance)


def table_lines(page: Any) -> list[str]:
    lambdas = sorted(set(page.rows("tables/results.csv", fusion="concatenation")["lambda"]), key=float)
    return [
        *(baseline_line(page, name) for name in BASELINES),
        *(lambda_line(page, lam) for lam in lambdas),
        *(rule_line(page, rule) for rule in RULES),
    ]


def size_of_an_expert(page: Any) -> int:
    architecture = {"name": "speednet", **page.config["architectures"]["speednet"]}
    network = build_expert(expert_spec(architecture, 100, 3))
    return sum(parameter.numel() for parameter in network.parameters())
