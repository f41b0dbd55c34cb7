"""docs/results/cifar100_evening/README.md."""

from pathlib import Path
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


def top1(page: Any, predictor: str, **cell: Any) -> float:
    """Of a predictor of seed 0; of `before` or `after`, the mean over the experts."""
    names = [f"expert_{i}_{predictor}" for i in range(4)] if predictor in ("before", "after") else [predictor]
    found = [page.row(SUMMARY, predictor=name, metric="top1_percent", seed=0, **cell).value for name in names]
    return float(sum(found) / len(found))


def difference(page: Any, predictor: str = "fused", **cell: Any) -> str:
    """To the fine-tuned average in points, with the bootstrap interval over test images."""
    row = page.row("tables/comparison.csv", predictor=predictor, baseline=FINETUNED, **cell)
    return f"{row.difference_points:+.2f} ({row.low_points:+.2f} to {row.high_points:+.2f})"


def lambda_line(page: Any, lam: str) -> str:
    cell = {"fusion": "concatenation", "lam": lam}
    values = [top1(page, name, **cell) for name in ("fused", "after", "probability_average_after")]
    (run,) = (row for _, row in best(page).query("fusion == 'concatenation'").iterrows() if row["lambda"] == lam)
    return (
        f"| {lam} | {values[0]:.2f} | {difference(page, **cell)} | {values[1]:.2f} | {values[2]:.2f} "
        f"| {run.path_gradient_cosine:.2f} |"
    )


def rule_line(page: Any, rule: str) -> str:
    cell = {"fusion": rule, "lam": "1"}
    both = top1(page, "fused_plus_experts", **cell)
    return f"| {rule} | {top1(page, 'fused', **cell):.2f} | {difference(page, **cell)} | {both:.2f} |"


def baseline_line(page: Any, name: str) -> str:
    predictor = BASELINES[name]
    one = top1(page, predictor)
    if predictor == "stacking_before":
        return f"| {name} | {one:.2f} | |"
    two = [f"expert_{i}_before_two_views" for i in range(4)] if predictor == "before" else [f"{predictor}_two_views"]
    both = sum(top1(page, own) for own in two) / len(two)
    return f"| {name} | {one:.2f} | {both:.2f} |"


def best(page: Any) -> Any:
    """The best epoch of every fused network, after the training logs."""
    return best_epochs(page.table("training_logs.csv"), StatisticsSettings().convergence_tolerance)


def table_lines(page: Any) -> list[str]:
    lambdas = sorted(set(page.rows(SUMMARY, fusion="concatenation", predictor="fused")["lambda"]), key=float)
    return [
        *(baseline_line(page, name) for name in BASELINES),
        *(lambda_line(page, lam) for lam in lambdas),
        *(rule_line(page, rule) for rule in RULES),
    ]


def size_of_an_expert(page: Any) -> int:
    architecture = {"name": "speednet", **page.config["architectures"]["speednet"]}
    network = build_expert(expert_spec(architecture, 100, 3))
    return sum(parameter.numel() for parameter in network.parameters())


def setting_claims(page: Any) -> list[str]:
    n_test = int(page.table("tables/comparison.csv")["n_test"].iloc[0])
    training = page.json("splits.json")["image_set"]["training_images"]
    finished = page.rows(SUMMARY, predictor="fused", metric="top1_percent")
    runs = best(page)
    last = (runs["epoch"] == page.config["fusion"]["epochs"]).sum()
    return [
        f"on all {training + n_test:,} images of CIFAR-100",
        f"on the {n_test:,} test images",
        f"a bootstrap over the test images ({100 * StatisticsSettings().confidence:g} %)",
        f"experts of {size_of_an_expert(page) / 1e6:.1f} million parameters",
        f"on {page.images_in('expert_0'):,} images each",
        f"on {page.images_in('fusion'):,} images that no expert has seen",
        f"{len(finished)} cells of seed 0 are finished",
        f"One network of an expert's size, trained on {page.images_in('pool') + page.images_in('fusion'):,} images",
        f"The best validation epoch is the last one in {last} of {len(runs)} trainings",
    ]


def compared(page: Any, predictor: str) -> Any:
    """The differences to the fine-tuned average, by (rule, lambda)."""
    rows = page.rows("tables/comparison.csv", predictor=predictor, baseline=FINETUNED)
    return rows.dropna(subset="difference_points").set_index(["fusion", "lambda"])


def finding_claims(page: Any) -> list[str]:
    rows, both = compared(page, "fused"), compared(page, "fused_plus_experts")
    level, gained = rows.loc["concatenation"], both.loc["concatenation"]
    sums = rows.loc[["simpleAddition", "multiplicative", "multiplicativeAddition"], "difference_points"]
    fused = page.rows(SUMMARY, fusion="concatenation", predictor="fused", metric="top1_percent")["value"]
    experts = {lam: top1(page, "after", fusion="concatenation", lam=lam) for lam in ("0", "0.1", "1")}
    averages, right = (
        {lam: top1(page, name, fusion="concatenation", lam=lam) for lam in ("0", "1")}
        for name in ("probability_average_after", "oracle_after")
    )
    cosines = best(page).query("fusion == 'concatenation'").set_index("lambda")["path_gradient_cosine"]
    single = top1(page, "single")
    best_fused = page.rows(SUMMARY, predictor="fused", metric="top1_percent")["value"].max()
    assert (level.seeds_significant == 0).all()
    assert (rows.drop(index=level.index.map(lambda lam: ("concatenation", lam))).seeds_worse == 1).all()
    assert gained[gained.seeds_significant == 1].index.tolist() == ["0", "0.1"]
    undecided = " and ".join(gained[gained.seeds_significant == 0].index)
    return [
        f"from {-level.difference_points.min():.2f} points below to {level.difference_points.max():.2f} above",
        f"by {-rows.loc[('TransformerBase', '1'), 'difference_points']:.1f} points with TransformerBase, and by "
        f"{-sums.max():.1f} to {-sums.min():.1f} with the sum and the products",
        f"is {gained.loc['0', 'difference_points']:.1f} points above that average at lambda 0 and "
        f"{gained.loc['0.1', 'difference_points']:.1f} at 0.1, both significant by the adjusted test; at {undecided}",
        f"between {fused.min():.1f} and {fused.max():.1f} for every lambda",
        f"their mean is {experts['0']:.1f} at lambda 0, {experts['0.1']:.1f} at 0.1 and {experts['1']:.1f} at 1",
        f"the average of the experts falls to {averages['0']:.1f} at lambda 0 (from {averages['1']:.1f} at 1)",
        f"at least one of the four is right rises from {right['1']:.1f} to {right['0']:.1f} %",
        f"from {cosines['0']:.2f} at lambda 0 to {cosines.max():.2f} at 5",
        f"reaches {single:.1f}, {single - best_fused:.1f} points above the best fused network and "
        f"{single - top1(page, FINETUNED):.1f} above the fine-tuned average",
    ]


def test_every_number_of_the_page_is_in_its_tables(page: Any, check_page: Any) -> None:
    check_page(page.text, [*table_lines(page), *setting_claims(page), *finding_claims(page)], ["At lambda 1:"])


def test_what_the_readme_of_the_project_quotes(page: Any) -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    fused = [f"{top1(page, 'fused', fusion='concatenation', lam=lam):.1f}" for lam in ("1", "0.1", "0")]
    both = top1(page, "fused_plus_experts", fusion="concatenation", lam="0.1")
    for line in (
        f"four experts of {size_of_an_expert(page) / 1e6:.1f} M parameters",
        f"| an expert, as pre-trained | {top1(page, 'before'):.1f} % |",
        f"| **the same four, fine-tuned and averaged** | **{top1(page, FINETUNED):.1f} %** |",
        f"| fused by concatenation, lambda 1, 0.1 or 0 | {', '.join(fused)} % |",
        f"| fused by concatenation at lambda 0.1, averaged with its experts | {both:.1f} % |",
        f"| one network of an expert's size, on all images | {top1(page, 'single'):.1f} % |",
    ):
        assert line in readme
