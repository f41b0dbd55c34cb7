"""docs/results/cifar100_small/README.md."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from certifuse.models.images.architectures.registry import build_architecture
from certifuse.reporting.fusion.runs import best_epochs
from certifuse.study.settings.evaluation import EvaluationSettings, StatisticsSettings
from certifuse.study.settings.superclasses import CIFAR100
from certifuse.study.study import read_study

ARCHITECTURES = ("resnet", "densenet", "improved_wide_resnet", "resnext")
SUMMARY = "fusion_performance_summary.csv"
LEADING = ("TransformerBase", "concatenation")
HERE, THERE = "tables", "other_machine"
FINETUNED = "probability_average_finetuned"
CLASSES, CHANNELS = 100, 3
ON_RESNET = {"architecture": "resnet", "fusion": "concatenation"}
ELSEWHERE = [
    "The guides expect 80 to 93 % and a gain of 2 to 5 points from fusion.",
    "measured 79 to 81 % at full size",
    "two experts that were trained again on this machine came out byte for byte",
]
"""What the guides say of themselves, and what was seen once by hand."""


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
    return fused_top1(page, HERE)


def best(page: Any) -> Any:
    """The best epoch of every fused network, after the training logs."""
    return best_epochs(page.table("training_logs.csv"), StatisticsSettings().convergence_tolerance)


def spread(values: Any) -> str:
    """The smallest and the largest value, rounded: "4 to 7"."""
    numbers = list(values)
    return f"{min(numbers):.0f} to {max(numbers):.0f}"


def paired(page: Any, tables: str = HERE, **wanted: Any) -> Any:
    """The differences of the fused networks to the fine-tuned average."""
    return page.rows(f"{tables}/comparison.csv", **{"predictor": "fused", "baseline": FINETUNED} | wanted)


def gains_on_resnext(page: Any, predictor: str, tables: str = HERE) -> list[float]:
    """Those of TransformerBase and concatenation, in points."""
    rows = paired(page, tables, architecture="resnext", predictor=predictor).set_index("fusion")
    return [float(rows.loc[fusion, "difference_points"]) for fusion in LEADING]


def baseline_top1(page: Any, tables: str, predictor: str) -> Any:
    """The top-1 accuracy of a baseline by architecture."""
    rows = page.rows(f"{tables}/baselines.csv", predictor=predictor)
    return rows.set_index("architecture")["top1_percent_mean"]


def fused_top1(page: Any, tables: str) -> Any:
    """The top-1 accuracy of the fused networks at lambda 1 by architecture and rule."""
    rows = page.rows(f"{tables}/results.csv", lam="1.0", predictor="fused")
    return rows.set_index(["architecture", "fusion"])["top1_percent_mean"]


def table_claims(page: Any, baseline: Callable[[str, str], float], fused: Any) -> list[str]:
    def seeds(predictor: str) -> int:
        return int(page.row("tables/baselines.csv", architecture="resnet", predictor=predictor).seeds)

    def row(predictor: str, bold: str = "") -> str:
        return " | ".join(f"{bold}{baseline(name, predictor):.1f}{bold}" for name in ARCHITECTURES)

    best = [(fused[name].idxmax(), fused[name].max()) for name in ARCHITECTURES]
    first, *others = [f"{baseline(name, 'single'):.1f}" for name in ARCHITECTURES]
    wider = f"{baseline('resnet', 'single_wider'):.1f} ({seeds('single_wider')} seed)"
    return [
        f"| experts, pre-trained (mean of four) | {row('experts_before')} |",
        f"| average of pre-trained experts | {row('probability_average_before')} |",
        f"| **average of merely fine-tuned experts** | {row(FINETUNED, '**')} |",
        f"| stacking of pre-trained experts | {row('stacking_before', '**')} |",
        "| fused, best rule at lambda 1 | " + " | ".join(f"{top1:.1f} ({rule})" for rule, top1 in best) + " |",
        f"| resnet ({seeds(FINETUNED)} seeds) | densenet |",
        f"| {first} ({seeds('single')} seed) | {' | '.join(others)} |",
        f"| one model of twice the width, same images | {wider} |",
    ]


def setting_claims(page: Any) -> list[str]:
    config, manifest, images = page.config, page.json("manifest.json"), page.images_in
    n_test = int(page.table("tables/comparison.csv")["n_test"].iloc[0])
    training = page.json("splits.json")["image_set"]["training_images"]
    converged = best(page)["convergence_epoch"]
    wall_s = sum(jobs["wall_s"] for jobs in manifest["training_jobs"].values())
    hours, minutes, seconds = map(float, manifest["workflow_elapsed"].split(":"))
    elapsed = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    tables = [page.table(f"tables/{name}.csv") for name in ("results", "baselines")]
    errors = [table["one_model_standard_error_points"] for table in tables]
    low, high = min(column.min() for column in errors), max(column.max() for column in errors)
    return [
        f"on all {training + n_test:,} images of CIFAR-100",
        f"{images('dropped')} training images with the bytes of an earlier one were left out",
        f"in {elapsed / timedelta(minutes=1):.0f} minutes on two CPU cores",
        f"({wall_s / 60:.0f} minutes of trainings, each on one core)",
        f"{n_test:,} test images, so one model's standard error is {low:.2f} to {high:.2f} points",
        f"| one model on {images('pool') + images('fusion'):,} images |",
        f"fitted on the same {images('fusion'):,} fusion images",
        f"the experts take {steps(config['pretraining'], images('expert_0'))} steps",
        f"the fused networks {steps(config['fusion'], images('fusion'))}, and the convergence epoch is the last one in "
        f"{(converged == config['fusion']['epochs']).sum()} of {len(converged)} trainings",
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
    return [f"Experts of {round(min(counts), -3):,} to {round(max(counts), -3):,} parameters"]


def finding_claims(page: Any, baseline: Callable[[str, str], float], fused: Any) -> list[str]:
    stacked = {name: baseline(name, "stacking_before") for name in ARCHITECTURES}
    single = {name: baseline(name, "single") for name in ARCHITECTURES}
    lost = [-row for name in ARCHITECTURES[:3] for row in paired(page, architecture=name)["difference_points"]]
    lost_there = [-row for row in paired(page, architecture="resnext")["difference_points"] if row < -1]
    level = gains_on_resnext(page, "fused")
    gained = gains_on_resnext(page, "fused_plus_experts")
    above_finetuned = spread(stacked[name] - baseline(name, FINETUNED) for name in ARCHITECTURES)
    return [
        f"on three of the four architectures, by {spread(lost)} points (McNemar, Holm-adjusted p < 0.05,",
        f"the other three rules lose by {spread(lost_there)} points",
        f"from the average ({level[0]:.1f} points above it, {-level[1]:.1f} below)",
        f"by the adjusted test, by {gained[0]:.1f} points with TransformerBase and {gained[1]:.1f} with concatenation",
        f"It is {above_finetuned} points above the fine-tuned average",
        f"stacking by {spread(single[name] - stacked[name] for name in ARCHITECTURES)} points",
        f"the fine-tuned ones by {spread(single[name] - baseline(name, FINETUNED) for name in ARCHITECTURES)}, with a",
        *expert_claims(page, baseline),
        *tie_claims(page),
        *lambda_claims(page),
        *cost_claims(page, baseline, fused),
        *repeat_claims(page),
    ]


def expert_claims(page: Any, baseline: Callable[[str, str], float]) -> list[str]:
    """What joint training does to the experts alone."""
    alone = {"predictor": "probability_average_after", "lam": "1.0"}
    gains = paired(page, **alone).set_index(["architecture", "fusion"])
    seeds = gains.loc[("resnet", "concatenation")]
    others = gains.drop([("resnet", "concatenation")])
    assert (seeds.seeds_significant, others["seeds_significant"].max()) == (2, 0)
    after = page.row("tables/results.csv", **ON_RESNET | alone).top1_percent_mean
    rows = page.rows("paired_comparisons.csv", level="seed", baseline=FINETUNED, **ON_RESNET | alone)
    first, second, third = (f"{gain:.1f}" for gain in rows.sort_values("seed")["difference_points"])
    low, high = others["difference_points"].min(), others["difference_points"].max()
    return [
        f"the experts alone is {after:.1f} after joint training with it against "
        f"{baseline('resnet', FINETUNED):.1f} for mere fine-tuning",
        f"{first}, {second} and {third} points by seed, the two larger ones confirmed",
        f"t interval over seeds {seeds.t_low_points:.1f} to {seeds.t_high_points:.1f}",
        f"between {-low:.1f} points below and {high:.1f} above, and nothing",
    ]


def tie_claims(page: Any) -> list[str]:
    names = {"architecture": "resnet", "lam": "1.0", "seed": 0, "predictor": "fused", "metric": "top1_percent"}
    first, second = (page.row(SUMMARY, fusion=fusion, **names).value for fusion in ("TransformerBase", "concatenation"))
    return [f"TransformerBase has {first:.1f} and it {second:.1f}"]


def lambda_claims(page: Any) -> list[str]:
    where = {**ON_RESNET, "predictor": "fused"}
    low, high = (page.row("tables/results.csv", lam=lam, **where).top1_percent_mean for lam in ("0.1", "5.0"))
    by_seed = page.rows("paired_comparisons.csv", level="seed", baseline=FINETUNED, **where)
    difference = by_seed.pivot(index="seed", columns="lambda", values="difference_points")
    drops = [f"{drop:.1f}" for drop in difference["0.1"] - difference["5.0"]]
    top1 = page.rows(SUMMARY, lam="1.0", metric="top1_percent", **where)["value"]
    experts = [
        page.row("tables/results.csv", lam=lam, **ON_RESNET, predictor="probability_average_after").top1_percent_mean
        for lam in ("0.1", "5.0")
    ]
    runs = best(page)
    agreeing = runs[(runs["architecture"] == "resnet") & (runs["fusion"] == "concatenation")]
    single = agreeing["path_gradient_cosine"]
    agreeing = agreeing.groupby("lambda")["path_gradient_cosine"].mean()
    product = runs.loc[runs["fusion"].isin(["multiplicative", "multiplicativeAddition"]), "path_gradient_cosine"]
    return [
        f"accuracy falls from {low:.1f} at lambda 0.1 to {high:.1f} at lambda 5; paired by seed the drop is "
        f"{drops[0]}, {drops[1]} and {drops[2]} points",
        f"between seeds at lambda 1 ({top1.max() - top1.min():.1f} points)",
        f"after the best epoch, is {agreeing.min():.2f} to {agreeing.max():.2f} whatever lambda is",
        f"single runs {single.min():.2f} to {single.max():.2f})",
        f"it is lower, {product.min():.2f} to {product.max():.2f} over all architectures",
        f"at lambda 0.1 the average of the experts is {experts[0]:.1f}, at lambda 5 {experts[1]:.1f}",
    ]


def cost_claims(page: Any, baseline: Callable[[str, str], float], fused: Any) -> list[str]:
    """One wide ResNet against four experts."""

    def multiple(table: str, column: str, predictor: str, **cell: str) -> float:
        return float(page.row(f"tables/{table}.csv", architecture="resnet", predictor=predictor, **cell)[column])

    def superclasses(predictor: str, **cell: str) -> str:
        names = {"architecture": "resnet", "metric": "superclass_top1_percent", "predictor": predictor}
        return f"{page.rows(SUMMARY, **names, **cell)['value'].mean():.1f}"

    wide = baseline("resnet", "single_wider")
    trained = [
        multiple("training_costs", "training_of_one_expert", "single_wider"),
        multiple("training_costs", "training_of_one_expert", "fused", fusion="concatenation"),
    ]
    concatenation = {"fusion": "concatenation", "lam": "1.0"}
    names = (FINETUNED, "stacking_before", "single", "single_wider")
    averaged, stacked, one, wider = (superclasses(name) for name in names)
    return [
        f"has {multiple('costs', 'parameters_of_one_expert', 'single_wider'):.1f} times the parameters and "
        f"{multiple('costs', 'flops_of_one_expert', 'single_wider'):.1f} times the operations of an expert",
        f"trains for {trained[0]:.1f} times as long",
        f"by concatenation take {trained[1]:.1f} times as long",
        f"It reaches {wide:.1f}, which is {wide - baseline('resnet', 'single'):.1f} points more than the model of one "
        f"expert's size on the same images, {wide - baseline('resnet', 'stacking_before'):.1f} more than stacking and "
        f"{wide - fused['resnet']['concatenation']:.1f} more than that fusion, whose experts saw "
        f"{page.images_in('expert_0'):,} images each",
        f"On the {len(CIFAR100)} superclasses the order is the same: {superclasses('fused', **concatenation)} fused, "
        f"{averaged} averaged, {stacked} stacked, {one} one model, {wider} one wide model",
    ]


def repeat_claims(page: Any) -> list[str]:
    """The run on this machine beside that on another."""
    (commit,) = page.json(f"{THERE}/manifest.json")["training_commits"]
    of_fused = (fused_top1(page, HERE) - fused_top1(page, THERE)).abs().max()
    of_averages = (baseline_top1(page, HERE, FINETUNED) - baseline_top1(page, THERE, FINETUNED)).abs().max()
    stacked = [
        baseline_top1(page, tables, "stacking_before") - baseline_top1(page, tables, FINETUNED)
        for tables in (HERE, THERE)
    ]
    widths = [
        baseline_top1(page, tables, "single_wider") - baseline_top1(page, tables, "single") for tables in (HERE, THERE)
    ]
    wider = [difference["resnet"] for difference in widths]
    ahead = [gains_on_resnext(page, "fused", tables)[0] for tables in (THERE, HERE)]
    return [
        f"at commit `{commit[:7]}`) ended with the top-1 of single fused networks up to {of_fused:.1f} points away, "
        f"and that of averages of fine-tuned experts up to {of_averages:.1f}",
        f"stacking above the fine-tuned average by {spread([*stacked[0], *stacked[1]])} points",
        f"the wide one above it by {min(wider):.1f} and {max(wider):.1f} points",
        f"TransformerBase above the average by {ahead[0]:.1f} points, significant there and {ahead[1]:.1f} here",
    ]


def test_every_number_of_the_page_is_in_its_tables(page: Any, check_page: Any, baseline: Any, fused: Any) -> None:
    claims = table_claims(page, baseline, fused) + setting_claims(page) + finding_claims(page, baseline, fused)
    check_page(page.text, claims, ELSEWHERE)


@pytest.mark.parametrize("tables", [HERE, THERE])
def test_fusion_loses_significantly_on_three_architectures(page: Any, tables: str) -> None:
    rows = paired(page, tables)
    lost = rows[(rows["architecture"] != "resnext") | ~rows["fusion"].isin(LEADING)]
    assert len(lost) == len(rows) - len(LEADING)
    assert (lost["seeds_worse"] == lost["seeds"]).all()
    assert (lost["seeds_significant"] == lost["seeds"]).all()


@pytest.mark.parametrize(("tables", "significant"), [(HERE, [0, 0]), (THERE, [1, 0])])
def test_two_rules_do_not_lose_on_resnext(page: Any, tables: str, significant: list[int]) -> None:
    for fusion, expected in zip(LEADING, significant, strict=True):
        row = paired(page, tables, architecture="resnext", fusion=fusion)
        assert (row["seeds_significant"].item(), row["seeds_worse"].item()) == (expected, 0)


@pytest.mark.parametrize("tables", [HERE, THERE])
def test_only_on_resnext_does_the_fused_network_add_to_its_experts(page: Any, tables: str) -> None:
    """Significantly in every seed, and with those two rules alone."""
    rows = paired(page, tables, predictor="fused_plus_experts")
    gained = rows[(rows["seeds_significant"] == rows["seeds"]) & (rows["difference_points"] > 0)]
    assert set(zip(gained["architecture"], gained["fusion"], strict=True)) == {("resnext", name) for name in LEADING}


def test_where_joint_training_made_significantly_better_experts(page: Any) -> None:
    alone = {"predictor": "probability_average_after", "lam": "1.0"}
    for tables, cell in {HERE: ("resnet", "concatenation"), THERE: ("resnext", "TransformerBase")}.items():
        rows = paired(page, tables, **alone)
        significant = rows[rows["seeds_significant"] > 0]
        assert list(zip(significant["architecture"], significant["fusion"], strict=True)) == [cell]
        assert (rows.loc[rows["fusion"] == "concatenation", "difference_points"] > 0).all()


@pytest.mark.parametrize("tables", [HERE, THERE])
def test_stacking_beats_every_fused_network_and_the_single_model_beats_all(page: Any, tables: str) -> None:
    stacked, single = (baseline_top1(page, tables, name) for name in ("stacking_before", "single"))
    for name in ARCHITECTURES:
        of_cells = page.rows(f"{tables}/results.csv", architecture=name)["top1_percent_mean"]
        assert of_cells.max() < stacked[name] < single[name]


def test_the_smallest_penalty_of_stacking_was_chosen_on_all_but_resnet(page: Any) -> None:
    chosen = page.rows(SUMMARY, predictor="stacking_before", metric="l2").groupby("architecture")["value"].min()
    smallest = chosen == min(EvaluationSettings().stacking_l2)
    assert set(chosen.index[smallest]) == set(ARCHITECTURES) - {"resnet"}


@pytest.mark.parametrize("tables", [HERE, THERE])
def test_which_rules_are_first_and_last(page: Any, tables: str) -> None:
    reached = fused_top1(page, tables)
    for name in ARCHITECTURES:
        assert set(reached[name].nsmallest(2).index) == {"simpleAddition", "multiplicative"}
        assert set(reached[name].nlargest(2).index) == set(LEADING)


@pytest.mark.parametrize("tables", [HERE, THERE])
def test_accuracy_falls_from_the_smallest_to_the_largest_lambda(page: Any, tables: str) -> None:
    rows = page.rows(f"{tables}/results.csv", predictor="fused", **ON_RESNET).set_index("lambda")["top1_percent_mean"]
    assert rows["0.1"] == rows.max()
    assert rows["5.0"] < rows["1.0"] < rows["0.1"]
