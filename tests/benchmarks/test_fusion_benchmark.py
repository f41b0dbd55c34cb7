"""The benchmark of fusion training runs, and what docs/speed.md says of it is in the reports that are kept."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tools import needs

ROOT = Path(__file__).resolve().parents[2]
MACHINES = ("xeon_amx", "epyc_zen5")
NETWORKS = ("resnet", "improved_wide_resnet")
RATIOS = ("ratio", "compiled_ratio", "throughput_ratio", "compiled_throughput_ratio")


def medians(report: dict[str, Any], *suffixes: str) -> list[float]:
    """Images per second of the better plain loop, ours, and ours compiled, in arrangements with these suffixes."""
    found = {name: turns["median_images_per_second"] for name, turns in report["arrangements"].items()}
    plain = max(found[f"plain{suffix}"] for suffix in suffixes)
    return [plain, found[f"ours{suffixes[0]}"], found[f"compiled{suffixes[0]}"]]


def of_both(report: dict[str, Any]) -> dict[str, list[float]]:
    """One training with all threads, and one on each core."""
    return {"alone": medians(report, "", "_2_workers"), "each": medians(report, "_one_training_a_core")}


def check_ratios(report: dict[str, Any]) -> None:
    """Like for like, and the best of both ways to use the cores against the best of the plain loop."""
    rates = of_both(report)
    best = [max(alone, each) for alone, each in zip(rates["alone"], rates["each"], strict=True)]
    divided = [found[index] / found[0] for found in (rates["alone"], best) for index in (1, 2)]
    assert [report[name] for name in RATIOS] == pytest.approx(divided, abs=0.006)


def test_the_page_has_the_numbers_of_the_reports() -> None:
    kept = ROOT / "benchmarks" / "results"
    assert {folder.name for folder in kept.iterdir()} == set(MACHINES)
    columns = [(machine, name) for machine in MACHINES for name in NETWORKS]
    reports = [
        json.loads((kept / machine / f"fusion_training_{name}.json").read_text(encoding="utf-8"))
        for machine, name in columns
    ]
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    for kind in ("alone", "each"):
        rates = [", ".join(f"{rate:,.0f}" for rate in of_both(report)[kind]) for report in reports]
        assert f"ours compiled | {' | '.join(rates)} |" in page
    for names in (RATIOS[:2], RATIOS[2:]):
        ratios = [", ".join(f"{report[name]:.2f}" for name in names) for report in reports]
        assert f"| `{names[0]}`, `{names[1]}` | {' | '.join(ratios)} |" in page
    for report, (_, name) in zip(reports, columns, strict=True):
        assert (report["architecture"]["name"], report["steps"], report["batch_size"]) == (name, 20, 64)
        check_ratios(report)


@pytest.mark.slow
def test_it_runs_and_divides_what_it_measured() -> None:
    needs("c++", "build-essential")
    script = ROOT / "benchmarks" / "fusion_training.py"
    command = [sys.executable, str(script), "--steps", "1", "--repetitions", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert all(rate > 0 for rates in of_both(report).values() for rate in rates)
    check_ratios(report)
