"""The benchmark of the share of the matrix rate: it counts what a step computes, and divides what it measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "matrix_share.py"


@pytest.mark.slow
def test_operations_are_those_of_the_convolutions() -> None:
    """Of a ResNet of width 16 and one block a stage: by hand, forward and twice that backward.

    The first convolution has no gradient for its images.
    """
    choices = "resnet_16 --batch-size 8 --steps 1 --repetitions 1 --size 64 --seconds 0.01"
    done = subprocess.run([sys.executable, str(SCRIPT), *choices.split()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    found = report["networks"]["resnet_16"]
    stem = 9 * 3 * 16 * 32**2
    stages = 2 * 9 * 16 * 16 * 32**2
    for channels, size in ((32, 16), (64, 8)):
        stages += size**2 * (9 * channels * channels // 2 + 9 * channels**2 + channels * channels // 2)
    head = 64 * 100
    assert found["operations_per_image"] == pytest.approx(2 * (2 * stem + 3 * stages + 3 * head), rel=1e-6)
    assert found["share"] == found["shares"][0]
    assert found["images_per_second"] > 0
