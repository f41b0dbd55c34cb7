"""The benchmark of the time to an accuracy: it trains, tests one view and two, and divides what it measured."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_it_runs_and_says_what_it_measured(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 2048), ("test", 64)):
        labels = np.arange(count) % 4
        noise = generator.integers(0, 256, (count, 16, 16, 3))
        arrays[f"{part}_images"] = (0.3 * noise + 50 * labels[:, None, None, None]).astype(np.uint8)
        arrays[f"{part}_labels"] = labels
    np.savez(tmp_path / "images.npz", **arrays)
    choices = "--widths 8 8 8 --epochs 2 --seeds 2 --threads 1 --plain-steps 1 --target 50"
    command = [sys.executable, str(ROOT / "benchmarks" / "time_to_accuracy.py"), str(tmp_path / "images.npz")]
    done = subprocess.run([*command, *choices.split()], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [run["seed"] for run in report["runs"]] == [0, 1]
    for run in report["runs"]:
        assert run["wall_s"] * run["images_per_second"] == pytest.approx(2 * 2048, rel=0.02)
        assert 0 <= run["top1_percent"] <= 100
        assert 0 <= run["top1_percent_two_views"] <= 100
    mean = report["mean"]
    assert mean["top1_percent"] == pytest.approx(sum(run["top1_percent"] for run in report["runs"]) / 2)
    assert report["reached"] == (mean["top1_percent"] >= 50)
    expected = mean["images_per_second"] / report["plain"]["images_per_second"]
    assert report["ratio"] == pytest.approx(expected, abs=0.006)
    assert report["training"]["epochs"] == 2
