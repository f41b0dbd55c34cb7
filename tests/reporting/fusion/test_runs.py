import pandas as pd
import pytest
from scipy import stats

from certifuse.reporting.estimates import estimate
from certifuse.reporting.fusion.runs import best_epochs, cell_results, pooled_bins, scores, with_cell_columns


@pytest.fixture
def logs() -> pd.DataFrame:
    accuracy = [50.0, 69.7, 70.0, 70.0, 68.0]
    rows = {
        "epoch": [1, 2, 3, 4, 5],
        "val_accuracy": accuracy,
        "val_loss": [2.0, 1.2, 1.1, 1.0, 1.3],
        "loss_global": [2.0, 1.6, 1.5, 1.2, 1.1],
        "loss_individual": [8.0, 6.0, 5.0, 3.6, 3.0],
        "expert_0_loss": [4.0, 3.0, 2.5, 1.8, 1.5],
        "expert_1_loss": [4.0, 3.0, 2.5, 1.8, 1.5],
    }
    names = {"model_architecture": "resnet", "fusion_type": "concatenation", "lambda": "0.5", "seed": 3}
    return pd.DataFrame(rows).assign(**names)


def test_the_best_epoch_is_the_training_loops(logs):
    shuffled = logs.sample(frac=1.0, random_state=0)
    best = best_epochs(shuffled, tolerance=0.005).iloc[0]
    assert best["epoch"] == 4  # as accurate as epoch 3, with a lower validation loss
    assert best["convergence_epoch"] == 2  # 69.7 is within half a point of 70
    assert best["loss_individual_per_expert"] == pytest.approx(1.8)
    assert best["loss_ratio"] == pytest.approx(1.8 / 1.2)


def test_the_tolerance_is_a_fraction(logs):
    assert best_epochs(logs, tolerance=0.0).iloc[0]["convergence_epoch"] == 3
    assert best_epochs(logs, tolerance=0.2).iloc[0]["convergence_epoch"] == 1


def test_losses_per_expert(logs):
    assert list(with_cell_columns(logs)["loss_individual_per_expert"]) == [4.0, 3.0, 2.5, 1.8, 1.5]


def test_no_logs_no_runs(logs):
    assert best_epochs(logs.iloc[:0], tolerance=0.005).empty


def test_a_cell_without_a_log_keeps_its_accuracy(frames):
    without = frames.logs[frames.logs["seed"] != 0]
    results = cell_results(frames.summary, without, tolerance=0.005)
    assert len(results) == len(cell_results(frames.summary, frames.logs, tolerance=0.005)) == 16 - 3
    assert results["top1_percent"].notna().all()
    assert results.loc[results["seed"] == 0, "loss_global"].isna().all()


def test_the_interval_is_students():
    found = estimate([70.0, 71.0, 73.0], confidence=0.9)
    half = stats.t.ppf(0.95, 2) * 1.5275252316519468 / 3**0.5
    assert (found.mean, found.n) == (pytest.approx(71.33333333), 3)
    assert (found.low, found.high) == (pytest.approx(found.mean - half), pytest.approx(found.mean + half))


def test_no_interval_of_one_seed_and_no_estimate_of_none():
    assert estimate([70.0], 0.95).low is None
    assert estimate([float("nan")], 0.95) is None


def test_scores_are_narrowed_by_cell(frames):
    rows = scores(frames.summary, "fused", "top1_percent", architecture="resnet", fusion="concatenation", lam="0.5")
    assert list(rows["seed"]) == [0]


def test_bins_are_pooled_by_counts():
    bins = pd.DataFrame(
        {
            "bin": [3, 3, 4],
            "count": [10, 30, 0],
            "mean_confidence": [0.2, 0.4, float("nan")],
            "accuracy": [0.1, 0.3, float("nan")],
        }
    )
    pooled = pooled_bins(bins)
    assert list(pooled["bin"]) == [3]
    assert pooled.iloc[0]["count"] == 40
    assert pooled.iloc[0]["mean_confidence"] == pytest.approx(0.35)
    assert pooled.iloc[0]["accuracy"] == pytest.approx(0.25)
