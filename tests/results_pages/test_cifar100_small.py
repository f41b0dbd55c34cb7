"""docs/results/cifar100_small/README.md."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from certifuse.models.architectures import build_architecture
from certifuse.study import read_study

ARCHITECTURES = ("resnet", "densenet", "improved_wide_resnet", "resnext")
FINETUNED = "probability_average_finetuned"
CLASSES, CHANNELS = 100, 3
ELSEWHERE = [
    "The guides expect 80 to 93 % and a gain of 2 to 5 points from fusion.",
    "measured 79 to 81 % at full size",
    *("is 27.5* on ResNet", "By seed the difference is 1.4*, 0.1* and 0.3*"),
    *("between seeds (1.2* points)", "their average is 27.7* and 27.4*"),
]
"""What the guides say of themselves, and what the page marks as not kept."""


@pytest.fixture(scope="module")
def page(page_of: Any) -> Any:
    return page_of("cifar100_small")


@pytest.fixture(scope="module")
def baseline(page: Any) -> Callable[[str, str], float]:
    """The top-1 accuracy of a baseline; of `experts_<stage>`, the mean over the experts."""

    def top1(architecture: str, predictor: str) -> float:
        rows = page.rows("tables/baselines.csv", architecture=architecture)
        names = rows["predictor"]
        stage = predictor.removeprefix("experts_")
        chosen = names.str.fullmatch(rf"expert_\d+_{stage}") if stage != predictor else names == predictor
        return float(rows.loc[chosen, "top1_percent_mean"].mean())

    return top1


@pytest.fixture(scope="module")
def fused(page: Any) -> Any:
    """Top-1 of the fused networks by architecture and rule, at lambda 1."""
    rows = page.rows("tables/results.csv", lam="1.0", predictor="fused")
    return rows.set_index(["architecture", "fusion"])["top1_percent_mean"]


def spread(values: Any) -> str:
    """The smallest and the largest value, rounded: "4 to 7"."""
    numbers = list(values)
    return f"{min(numbers):.0f} to {max(numbers):.0f}"


def paired(page: Any, **wanted: Any) -> Any:
    """The differences of the fused networks to the fine-tuned average."""
    return page.rows("tables/comparison.csv", **{"predictor": "fused", "baseline": FINETUNED} | wanted)


def table_claims(page: Any, baseline: Callable[[str, str], float], fused: Any) -> list[str]:
    def seeds(predictor: str) -> int:
        return int(page.row("tables/baselines.csv", architecture="resnet", predictor=predictor).seeds)

    def row(predictor: str, bold: str = "") -> str:
        return " | ".join(f"{bold}{baseline(name, predictor):.1f}{bold}" for name in ARCHITECTURES)

    best = [(fused[name].idxmax(), fused[name].max()) for name in ARCHITECTURES]
    first, *others = [f"{baseline(name, 'single'):.1f}" for name in ARCHITECTURES]
    return [
        f"| experts, pre-trained (mean of four) | {row('experts_before')} |",
        f"| average of pre-trained experts | {row('probability_average_before')} |",
        f"| **average of merely fine-tuned experts** | {row(FINETUNED, '**')} |",
        f"| stacking of pre-trained experts | {row('stacking_before', '**')} |",
        "| fused, best rule at lambda 1 | " + " | ".join(f"{top1:.1f} ({rule})" for rule, top1 in best) + " |",
        f"| resnet ({seeds(FINETUNED)} seeds) | densenet |",
        f"| {first} ({seeds('single')} seed) | {' | '.join(others)} |",
    ]


def setting_claims(page: Any) -> list[str]:
    config, manifest, images = page.config, page.json("manifest.json"), page.images_in
    n_test = int(page.table("tables/comparison.csv")["n_test"].iloc[0])
    training = page.json("splits.json")["image_set"]["training_images"]
    cpu_s = sum(jobs["cpu_s"] for jobs in manifest["training_jobs"].values())
    hours, minutes, seconds = map(float, manifest["workflow_elapsed"].split(":"))
    elapsed = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    tables = [page.table(f"tables/{name}.csv") for name in ("results", "baselines")]
    errors = [table["one_model_standard_error_points"] for table in tables]
    low, high = min(column.min() for column in errors), max(column.max() for column in errors)
    return [
        f"on all {training + n_test:,} images of CIFAR-100",
        f"in {elapsed / timedelta(minutes=1):.0f} minutes on two CPU cores",
        f"({cpu_s / 60:.0f} CPU minutes of training)",
        f"mean and deviation of all {training:,} training images",
        f"{n_test:,} test images, so one model's standard error is {low:.2f} to {high:.2f} points",
        f"| one model on {images('pool') + images('fusion'):,} images |",
        f"fitted on the same {images('fusion'):,} fusion images",
        f"the experts take {steps(config['pretraining'], images('expert_0'))} steps",
        f"the fused networks {steps(config['fusion'], images('fusion'))}, and the convergence epoch",
        *parameter_claims(config),
    ]


def steps(training: Any, images: int) -> int:
    return int(training["epochs"] * (images // training["batch_size"]))


def parameter_claims(config: Any) -> list[str]:
    counts = []
    study = read_study(config)
    for name in ARCHITECTURES:
        network = build_architecture(name, getattr(study.architectures, name), CLASSES, CHANNELS)
        counts.append(sum(parameter.numel() for parameter in network.parameters()))
    return [f"Networks of {round(min(counts), -3):,} to {round(max(counts), -3):,} parameters"]


def finding_claims(page: Any, baseline: Callable[[str, str], float], fused: Any) -> list[str]:
    stacked = {name: baseline(name, "stacking_before") for name in ARCHITECTURES}
    single = {name: baseline(name, "single") for name in ARCHITECTURES}
    lost = [-row for name in ARCHITECTURES[:3] for row in paired(page, architecture=name)["difference_points"]]
    gained = [
        paired(page, architecture="resnext", fusion=fusion)["difference_points"].item()
        for fusion in ("TransformerBase", "concatenation")
    ]
    assert round(gained[0], 1) == round(gained[1], 1)
    with_experts = paired(page, architecture="resnext", fusion="TransformerBase", predictor="fused_plus_experts")
    above_finetuned = spread(stacked[name] - baseline(name, FINETUNED) for name in ARCHITECTURES)
    return [
        f"on three of the four architectures, by {spread(lost)} points (McNemar, Holm-adjusted p < 0.05,",
        f"are {gained[0]:.1f} points above the average",
        f"TransformerBase is {with_experts['difference_points'].item():.1f} above, which they do",
        f"It is {above_finetuned} points above the fine-tuned average",
        f"against {baseline('resnet', FINETUNED):.1f} for mere fine-tuning",
        f"stacking by {spread(single[name] - stacked[name] for name in ARCHITECTURES)} points and the averages by "
        f"{spread(single[name] - baseline(name, FINETUNED) for name in ARCHITECTURES)}, with a quarter",
        *lambda_claims(page),
        "at lambda 0.1 the experts are as good as at lambda 5",
    ]


def lambda_claims(page: Any) -> list[str]:
    where = {"architecture": "resnet", "fusion": "concatenation", "predictor": "fused"}
    low, high = (page.row("tables/results.csv", lam=lam, **where).top1_percent_mean for lam in ("0.1", "5.0"))
    by_seed = page.rows("paired_comparisons.csv", level="seed", baseline=FINETUNED, **where)
    difference = by_seed.pivot(index="seed", columns="lambda", values="difference_points")
    drops = [f"{drop:.1f}" for drop in difference["0.1"] - difference["5.0"]]
    return [
        f"accuracy falls from {low:.1f} at lambda 0.1 to {high:.1f} at lambda 5; paired by seed the drop is "
        f"{drops[0]}, {drops[1]} and {drops[2]} points"
    ]


def test_every_number_of_the_page_is_in_its_tables(page: Any, check_page: Any, baseline: Any, fused: Any) -> None:
    claims = table_claims(page, baseline, fused) + setting_claims(page) + finding_claims(page, baseline, fused)
    check_page(page.text, claims, ELSEWHERE)


def test_fusion_loses_significantly_on_three_architectures(page: Any) -> None:
    for name in ARCHITECTURES[:3]:
        rows = paired(page, architecture=name)
        assert (rows["seeds_worse"] == rows["seeds"]).all()
    best = paired(page, architecture="resnext", fusion="TransformerBase")
    assert best["seeds_significant"].item() == 0
    averaged = paired(page, architecture="resnext", fusion="TransformerBase", predictor="fused_plus_experts")
    assert (averaged["seeds_significant"].item(), averaged["seeds_worse"].item()) == (1, 0)


def test_stacking_beats_every_fused_network_and_the_single_model_beats_all(page: Any, baseline: Any) -> None:
    for name in ARCHITECTURES:
        of_cells = page.rows("tables/results.csv", architecture=name)["top1_percent_mean"]
        assert of_cells.max() < baseline(name, "stacking_before") < baseline(name, "single")


def test_the_commits_that_the_page_names_are_those_of_the_manifest(page: Any) -> None:
    manifest = page.json("manifest.json")
    ((trained,), (scored,)) = manifest["training_commits"], manifest["evaluation_commits"]
    assert f"trained at commit `{trained[:7]}` and scored at `{scored[:7]}`" in page.text
