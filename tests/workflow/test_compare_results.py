"""The comparison of two results directories sees what it should, and nothing else."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compare():
    spec = importlib.util.spec_from_file_location("compare_results", ROOT / "workflow" / "compare_results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def results(root: Path, value="1.5", seconds="3", last_bit=0.0, bound=0.25, path="../a") -> Path:
    """A results directory with one file of each kind that has rules of its own."""
    (root / "metrics").mkdir(parents=True)
    (root / "metrics" / "scores.csv").write_text(f"name,value,seconds\na,{value},{seconds}\n")
    tensor = torch.tensor([1.0 + last_bit, 2.0])
    save_file(
        {"w": tensor, "half": (2**16 * tensor).to(torch.bfloat16)},
        root / "weights.safetensors",
        metadata={"made": path},
    )
    certificate = {"kind": "joint", "claim": {"bound": bound}, "images": {"path": path}}
    (root / "certificate.json").write_text(json.dumps(certificate))
    (root / "manifest.json").write_text(json.dumps({"wall_s": seconds}))
    return root


def test_times_places_and_metadata_are_not_compared(compare, tmp_path):
    before, after = results(tmp_path / "before"), results(tmp_path / "after", seconds="4", path="../b")
    assert list(compare.differences(before, after)) == []


@pytest.mark.parametrize(
    ("change", "file"),
    [
        ({"value": "1.6"}, "metrics/scores.csv"),
        ({"last_bit": 2.0**-23}, "weights.safetensors"),
        ({"bound": 0.2500000001}, "certificate.json"),
    ],
)
def test_a_change_of_the_last_digit_is_named(compare, tmp_path, change, file):
    before, after = results(tmp_path / "before"), results(tmp_path / "after", **change)
    assert list(compare.differences(before, after)) == [f"differs: {file}"]


def test_files_of_one_side_are_named_and_the_status_says_so(compare, tmp_path, capsys):
    before, after = results(tmp_path / "before"), results(tmp_path / "after")
    (after / "metrics" / "scores.csv").rename(after / "metrics" / "other.csv")
    assert compare.main([str(before), str(after)]) == 1
    assert "only before: metrics/scores.csv\nonly after: metrics/other.csv\n" in capsys.readouterr().out
    assert compare.main([str(before), str(before)]) == 0
