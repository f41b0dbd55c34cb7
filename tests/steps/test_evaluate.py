"""Scores of a cell and its family against direct computation from the logits, and their gathering and comparison."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recomputed_scores import NOT_OF_PREDICTIONS, recomputed_classes, recomputed_scores
from safetensors.numpy import load_file, save_file
from torch.nn import functional

from certifuse.evaluation.images.combination import fit_stacking, probability_average
from certifuse.models.compute import runtime as runtimes
from certifuse.steps.compare_cells import compare_cells
from certifuse.steps.gather import gather
from certifuse.steps.score_sheet import Parts, ScoreSheet
from certifuse.study import paths
from certifuse.study.cells import Cell, Family
from certifuse.study.settings.evaluation import EvaluationSettings, ExecutionSettings
from certifuse.study.steps.gathering import CompareCells, Gather, GatheringFiles

EXPERTS, CLASSES, TEST, HELD_OUT = 3, 7, 400, 200
CELL = Cell("resnet", "concatenation", "1.0", 0)
CELLS = (replace(CELL, lam="0.5"), CELL)
CELL_DIRECTORY = paths.CELL_METRICS.format(**CELL.names())
FAMILY = {"architecture": "resnet", "fusion": "baseline", "lambda": "", "seed": 0}
RUNTIME = runtimes.start(ExecutionSettings(device="cpu", precision="fp32"))


def random_logits(generator: torch.Generator, labels_N: torch.Tensor, signal: float) -> torch.Tensor:
    noise_ENK = torch.randn(EXPERTS, len(labels_N), CLASSES, generator=generator)
    return noise_ENK + signal * functional.one_hot(labels_N, CLASSES)


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A family and one of its two cells, written as the evaluation steps write them."""
    results = tmp_path_factory.mktemp("results")
    generator = torch.Generator().manual_seed(0)
    labels = Parts(*(torch.randint(CLASSES, (n,), generator=generator) for n in (TEST, HELD_OUT, HELD_OUT)))
    before = Parts(*(random_logits(generator, part, 1.5) for part in (labels.test, labels.validation, labels.fusion)))
    finetuned, after = (
        Parts(*(random_logits(generator, part, signal) for part in (labels.test, labels.validation)))
        for signal in (2.0, 2.2)
    )
    fused = [random_logits(generator, part, 3.0)[0] for part in (labels.test, labels.validation)]

    family = ScoreSheet(FAMILY, EvaluationSettings(), labels)
    family.add_experts("before", before)
    family.add_experts("finetuned", finetuned)
    family.write(results / paths.BASELINE_METRICS.format(**Family("resnet", 0).names()), RUNTIME)
    cell = ScoreSheet(CELL.names(), EvaluationSettings(), labels)
    experts = [part.double().log_softmax(-1) for part in (after.test, after.validation)]
    together = [
        probability_average(torch.cat([part.double().log_softmax(-1)[None], of_experts]))
        for part, of_experts in zip(fused, experts, strict=True)
    ]
    fused = cell.add_network("fused", *fused)
    cell.add_soft("fused_plus_experts", *together)
    cell.add_experts("after", after)
    cell.write(results / CELL_DIRECTORY, RUNTIME)
    return {
        "results": results,
        "labels": labels,
        "before": before,
        "finetuned": finetuned,
        "after": after,
        "fused": fused,
    }


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def gathered(results: Path) -> None:
    gather(Gather(cells=CELLS, trainings=()), GatheringFiles(results_dir=results, source="test"))


def compared(results: Path, samples: int) -> None:
    step = CompareCells(cells=CELLS, confidence=0.95, bootstrap_samples=samples, bootstrap_seed=0)
    compare_cells(step, GatheringFiles(results_dir=results, source="test"))


def score(results: Path, predictor: str, metric: str) -> float:
    found = [r for r in rows(results / paths.SUMMARY) if (r["predictor"], r["metric"]) == (predictor, metric)]
    assert len(found) == 1
    return float(found[0]["value"])


def test_gathered_scores_equal_direct_computation(sheets: dict[str, Any]) -> None:
    results, labels = sheets["results"], sheets["labels"]
    gathered(results)
    probs_ENK = sheets["before"].test.double().softmax(-1)
    mean_NK = probs_ENK.mean(0)
    assert score(results, "probability_average_before", "top1_percent") == pytest.approx(
        100 * float((mean_NK.argmax(-1) == labels.test).double().mean())
    )
    assert score(results, "probability_average_before", "nll_nats") == pytest.approx(
        -float(mean_NK.gather(1, labels.test[:, None]).log().mean()), rel=1e-9
    )
    assert score(results, "expert_1_before", "top1_percent") == pytest.approx(
        100 * float((probs_ENK[1].argmax(-1) == labels.test).double().mean())
    )
    assert score(results, "oracle_before", "top1_percent") == pytest.approx(
        100 * float((probs_ENK.argmax(-1) == labels.test).any(0).double().mean())
    )
    without_0 = probs_ENK[1:].mean(0).argmax(-1) == labels.test
    assert score(results, "experts_before", "top1_without_0_percent") == pytest.approx(
        100 * float(without_0.double().mean())
    )


def test_temperature_is_fitted_on_validation_alone(sheets: dict[str, Any]) -> None:
    results, labels = sheets["results"], sheets["labels"]
    temperature = score(results, "fused", "temperature")
    validation_NK, test_NK = sheets["fused"][1], sheets["fused"][0]

    def nll(log_probs: torch.Tensor, labels_N: torch.Tensor, t: float) -> float:
        return float(functional.cross_entropy(log_probs / t, labels_N))

    best = nll(validation_NK, labels.validation, temperature)
    assert best <= min(nll(validation_NK, labels.validation, temperature * s) for s in (0.98, 1.02))
    assert score(results, "fused", "nll_nats_calibrated") == pytest.approx(
        nll(test_NK, labels.test, temperature), rel=1e-9
    )


def test_stacking_is_fitted_only_where_the_experts_have_not_trained(sheets: dict[str, Any]) -> None:
    predictors = {row["predictor"] for row in rows(sheets["results"] / paths.SUMMARY)}
    assert "stacking_before" in predictors
    assert not predictors & {"stacking_finetuned", "stacking_after"}


def test_validation_chooses_the_penalty_of_the_stacking(sheets: dict[str, Any]) -> None:
    labels, before = sheets["labels"], sheets["before"]
    fusion, validation = (functional.log_softmax(part.double(), -1) for part in (before.fusion, before.validation))
    losses = {}
    for l2 in EvaluationSettings().stacking_l2:
        log_probs = fit_stacking(fusion, labels.fusion, l2).log_probs(validation)
        losses[l2] = float(functional.nll_loss(log_probs, labels.validation))
    assert score(sheets["results"], "stacking_before", "l2") == min(losses, key=losses.__getitem__)
    assert len(set(losses.values())) == len(losses)


def test_superclasses_are_scored_where_the_classes_are_grouped(sheets: dict[str, Any], tmp_path: Path) -> None:
    grouping, labels = [0, 0, 0, 1, 1, 2, 2], sheets["labels"]
    sheet = ScoreSheet(FAMILY, EvaluationSettings(), labels, grouping)
    sheet.add_experts("before", sheets["before"])
    sheet.write(tmp_path, RUNTIME)
    group_K = torch.tensor(grouping)
    predicted_N = sheets["before"].test[1].argmax(-1)
    expected = 100 * float((group_K[predicted_N] == group_K[labels.test]).double().mean())
    metrics = {(row["predictor"], row["metric"]): float(row["value"]) for row in rows(tmp_path / "metrics.csv")}
    assert metrics["expert_1_before", "superclass_top1_percent"] == pytest.approx(expected)
    assert metrics["expert_1_before", "superclass_top1_percent"] > metrics["expert_1_before", "top1_percent"]
    assert ("majority_vote_before", "superclass_top1_percent") in metrics
    named = {(int(row["class"]), int(row["superclass"])) for row in rows(tmp_path / "per_class.csv")}
    assert named == set(enumerate(grouping))
    others = rows(sheets["results"] / paths.SUMMARY)
    assert not [row for row in others if row["metric"] == "superclass_top1_percent"]


def test_a_missing_cell_is_listed_with_its_reason(sheets: dict[str, Any]) -> None:
    (missing,) = rows(sheets["results"] / paths.MISSING)
    assert (missing["lambda"], missing["seed"]) == ("0.5", "0")
    assert "not trained" in missing["reason"]
    assert not any(row["lambda"] == "0.5" for row in rows(sheets["results"] / paths.SUMMARY))


def test_stored_predictions_give_the_comparison(sheets: dict[str, Any]) -> None:
    results, labels = sheets["results"], sheets["labels"]
    compared(results, samples=500)
    found = rows(results / paths.COMPARISON)
    row = next(r for r in found if r["level"] == "seed" and r["baseline"] == "probability_average_finetuned")
    ours = (sheets["fused"][0].argmax(-1) == labels.test).numpy()
    theirs = (sheets["finetuned"].test.double().softmax(-1).mean(0).argmax(-1) == labels.test).numpy()
    assert int(row["only_predictor_right"]) == int(np.sum(ours & ~theirs))
    assert int(row["only_baseline_right"]) == int(np.sum(~ours & theirs))
    assert float(row["difference_points"]) == pytest.approx(100 * (ours.mean() - theirs.mean()))
    cell = next(r for r in found if r["level"] == "cell" and r["baseline"] == "probability_average_finetuned")
    assert float(cell["low_points"]) <= float(cell["difference_points"]) <= float(cell["high_points"])
    assert cell["t_low_points"] == "", "one seed has no interval over seeds"
    assert not any(r["lambda"] == "0.5" for r in found)


def test_the_experts_of_a_cell_alone_are_compared_as_well(sheets: dict[str, Any]) -> None:
    """What joint training does to the experts, apart from the fused head: against experts that were only fine-tuned."""
    results, labels = sheets["results"], sheets["labels"]
    compared(results, samples=50)
    after, finetuned = (
        100 * float((sheets[stage].test.double().softmax(-1).mean(0).argmax(-1) == labels.test).double().mean())
        for stage in ("after", "finetuned")
    )
    (row,) = (
        row
        for row in rows(results / paths.COMPARISON)
        if (row["level"], row["predictor"], row["baseline"])
        == ("cell", "probability_average_after", "probability_average_finetuned")
    )
    assert float(row["difference_points"]) == pytest.approx(after - finetuned)
    assert after != finetuned


@pytest.mark.parametrize(
    "directory", [CELL_DIRECTORY, paths.BASELINE_METRICS.format(**Family("resnet", 0).names())], ids=["cell", "family"]
)
def test_every_score_follows_from_the_stored_predictions_alone(sheets: dict[str, Any], directory: str) -> None:
    """Computed by other libraries."""
    written = sheets["results"] / directory
    file = written / paths.PREDICTIONS_FILE
    table = {(row["predictor"], row["metric"]): float(row["value"]) for row in rows(written / "metrics.csv")}
    scored = {key: value for key, value in table.items() if key[1] not in NOT_OF_PREDICTIONS}
    assert recomputed_scores(file) == pytest.approx(scored, rel=1e-9, abs=1e-12)
    of_classes = {(row["predictor"], row["class"]): float(row["accuracy"]) for row in rows(written / "per_class.csv")}
    assert recomputed_classes(file) == pytest.approx(of_classes, rel=1e-12)


def test_another_logit_gives_another_score(sheets: dict[str, Any], tmp_path: Path) -> None:
    """The control of the test above: a stored number in single precision is what the scores were computed from."""
    file = sheets["results"] / CELL_DIRECTORY / paths.PREDICTIONS_FILE
    tensors = load_file(file)
    assert tensors["fused/logits"].dtype == np.float32
    tensors["fused/logits"] = tensors["fused/logits"].astype(np.float16).astype(np.float32)
    save_file(tensors, tmp_path / "rounded.safetensors")
    before, after = recomputed_scores(file), recomputed_scores(tmp_path / "rounded.safetensors")
    assert after["fused", "nll_nats"] != pytest.approx(before["fused", "nll_nats"], rel=1e-9)
    assert after["expert_0_after", "nll_nats"] == before["expert_0_after", "nll_nats"]


def test_a_hole_in_the_results_is_an_empty_table_not_a_crash(tmp_path: Path) -> None:
    gathered(tmp_path)
    compared(tmp_path, samples=100)
    assert rows(tmp_path / paths.SUMMARY) == []
    assert rows(tmp_path / paths.COMPARISON) == []
    assert len(rows(tmp_path / paths.MISSING)) == 2
