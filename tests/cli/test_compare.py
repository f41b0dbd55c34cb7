"""`certifuse compare` on two small results directories whose every prediction is known."""

import json

import numpy as np
import pytest
import torch

from certifuse.base import manifest as manifests
from certifuse.base.manifest import StepRecord
from certifuse.base.rows import write_rows
from certifuse.evaluation.images.predictions import save_predictions
from certifuse.evaluation.statistics import holm, paired_bootstrap
from certifuse.study import paths
from certifuse.study.cells import Cell
from certifuse.study.settings.evaluation import StatisticsSettings
from certifuse.study.steps.training import EvaluateFusion
from certifuse.study.study import read_study

N, CLASSES = 400, 4
LAMBDAS, SEEDS = ("0.5", "1.0"), (0, 1)
LABELS = torch.arange(N, dtype=torch.int16) % CLASSES


def study_at(root, name, right, images="a" * 64, **settings):
    """A results directory; `right` says how many test images the network of (lambda, seed) gets right."""
    block = {"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": [*LAMBDAS], "seeds": [*SEEDS]}
    study = read_study({"name": name, "data": {"source": "digits"}, "grid": [block], **settings})
    rows = []
    for (lam, seed), count in right.items():
        cell = Cell("resnet", "concatenation", lam, seed)
        directory = root / paths.CELL_METRICS.format(**cell.names())
        predicted = torch.where(torch.arange(N) < count, LABELS, (LABELS + 1) % CLASSES).to(torch.int16)
        save_predictions(directory, {"labels": LABELS, "fused/predicted": predicted}, cell.names())
        record = StepRecord(EvaluateFusion.of(study, cell.names()), "0" * 16, [])
        outputs = [directory / paths.PREDICTIONS_FILE]
        record.write(directory / paths.MANIFEST_FILE, outputs, data={"images": [images]})
        score = {"predictor": "fused", "metric": "top1_percent", "value": 100 * count / N}
        rows.append(cell.names() | score)
    write_rows(root / paths.SUMMARY, rows)
    return root


RIGHT = {("0.5", 0): 200, ("0.5", 1): 204, ("1.0", 0): 300, ("1.0", 1): 302}
BETTER = {("0.5", 0): 280, ("0.5", 1): 286, ("1.0", 0): 301, ("1.0", 1): 300}


@pytest.fixture
def first(tmp_path, monkeypatch):
    monkeypatch.setattr(manifests, "environment_record", lambda: {"git": {}, "packages": {}})
    return study_at(tmp_path / "first", "first", RIGHT)


def test_paired_differences_are_those_of_the_predictions(first, tmp_path, certifuse_json):
    second = study_at(tmp_path / "second", "second", BETTER)
    rows = {row["lambda"]: row for row in certifuse_json("compare", first, second)["accuracies"]}
    settings, known = StatisticsSettings(), {}
    for lam, row in rows.items():
        a, b = ([np.arange(N) < right[lam, seed] for seed in SEEDS] for right in (RIGHT, BETTER))
        known[lam] = paired_bootstrap(np.stack(b), np.stack(a), settings.bootstrap_samples, 0.95, settings.seed)
        gains = [100 * (BETTER[lam, seed] - RIGHT[lam, seed]) / N for seed in SEEDS]
        assert row["difference_points"] == pytest.approx(np.mean(gains))
        assert (row["low_points"], row["high_points"]) == pytest.approx((100 * known[lam].low, 100 * known[lam].high))
        assert row["seeds"] == len(SEEDS)
    adjusted = holm([known[lam].p_value for lam in rows])
    assert [row["p_holm"] for row in rows.values()] == pytest.approx(adjusted)
    assert [rows[lam]["verdict"] for lam in LAMBDAS] == ["B more accurate", "cannot tell"]


def test_the_other_way_round_has_the_other_sign(first, tmp_path, certifuse_json):
    second = study_at(tmp_path / "second", "second", BETTER)
    there, back = (certifuse_json("compare", *both)["accuracies"] for both in ((first, second), (second, first)))
    assert [row["difference_points"] for row in back] == pytest.approx([-row["difference_points"] for row in there])
    assert back[0]["verdict"] == "A more accurate"


def test_other_test_images_are_not_paired(first, tmp_path, certifuse_json):
    second = study_at(tmp_path / "second", "second", BETTER, images="b" * 64)
    rows = certifuse_json("compare", first, second)["accuracies"]
    assert {row["verdict"] for row in rows} == {"not paired: other test images"}
    assert all("low_points" not in row for row in rows)


def test_only_what_both_have_is_compared(first, tmp_path, certifuse_json):
    second = study_at(tmp_path / "second", "second", {("1.0", 1): 300, ("0.5", 7): 1})
    rows = {row["lambda"]: row for row in certifuse_json("compare", first, second)["accuracies"]}
    assert rows["0.5"]["verdict"] == "no seed in common"
    assert (rows["1.0"]["seeds"], rows["1.0"]["t_low_points"]) == (1, None)


def test_settings_that_differ_are_named_with_both_values(first, tmp_path, certifuse, certifuse_json):
    second = study_at(tmp_path / "second", "second", RIGHT, evaluation={"calibration_bins": 10})
    assert certifuse_json("compare", first, second)["settings"] == [
        {"step": "evaluate_fusion", "setting": "evaluation.calibration_bins", "A": "15", "B": "10", "jobs": len(RIGHT)}
    ]
    code, out, _ = certifuse("compare", first, second)
    assert code == 0
    assert "calibration_bins" in out
    assert "cannot tell" in out


def test_a_study_beside_itself_does_not_differ(first, certifuse):
    code, out, _ = certifuse("compare", first, first)
    assert code == 0
    assert "No setting differs" in out
    assert "more accurate" not in out.split("\n\n")[1]


@pytest.mark.parametrize("confidence", ["0", "1", "nan"])
def test_an_impossible_confidence_is_refused(first, refused, confidence):
    assert "--confidence" in refused("compare", first, first, "--confidence", confidence)


def test_a_directory_of_no_study_is_refused(first, tmp_path, refused):
    assert "expected the results directory of a study" in refused("compare", first, tmp_path / "nowhere")


def test_predictions_that_changed_are_refused(first, tmp_path, refused):
    second = study_at(tmp_path / "second", "second", BETTER)
    (file, *_) = sorted(second.rglob(paths.PREDICTIONS_FILE))
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    assert file.name in refused("compare", first, second)


def test_certificates_stand_side_by_side_rounded_up(first, tmp_path, certifuse, certifuse_json):
    row = {"scheme": "iid", "architecture": "resnet", "fusion": "concatenation", "lambda": "1.0", "seed": 0}
    row |= {"kind": "subspace", "d": 4, "levels": 3, "examples": 100, "errors": 20, "prior_errors": 20, "worse": 0}
    row |= {"better": 0, "code_bits": 10.0, "delta": 0.05, "risk_percent": 20.0, "inequality": "binomial"}
    row |= {"test_examples": 10, "test_errors": 2, "test_percent": 20.0}
    second = study_at(tmp_path / "second", "second", RIGHT)
    for root, bound in ((first, 31.231), (second, 30.001)):
        write_rows(root / paths.CERTIFICATES, [row | {"bound_percent": bound}])
    (beside,) = certifuse_json("compare", first, second)["bounds"]["bound_percent"]
    assert (beside["bound_percent_a"], beside["bound_percent_b"]) == (31.231, 30.001)
    _, out, _ = certifuse("compare", first, second)
    assert "31.24" in out
    assert "30.01" in out


def test_json_has_no_number_that_json_lacks(first, tmp_path, certifuse):
    second = study_at(tmp_path / "second", "second", {("1.0", 1): 300})
    _, out, _ = certifuse("compare", first, second, "--json")
    json.loads(out, parse_constant=pytest.fail)
