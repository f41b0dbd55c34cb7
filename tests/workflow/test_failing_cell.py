"""One cell that fails: `--keep-going` finishes all others, and the tables show the hole with its reason."""

import csv
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

FAILING, GOOD = "multiplicative", "simpleAddition"
HOPELESS_RATE = 1e30
CELLS = "results/metrics/cells/resnet/{fusion}/lambda_1.0/seed_0/metrics.csv"
REASON = "not trained, or its training failed: see its log"


@pytest.fixture
def with_a_failing_cell(copied: Any) -> Any:
    """The finished study and two cells more, one of a rule whose learning rate leaves the numbers at once."""
    config = copied.config()
    config["grid"].append({"architectures": ["resnet"], "fusions": [FAILING, GOOD], "lambdas": ["1.0"], "seeds": [0]})
    config["fusion"]["per_fusion"] = {FAILING: {"fusion_lr": HOPELESS_RATE}}
    copied.write_config(config)
    return copied


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_others_finish_and_the_tables_show_the_hole(with_a_failing_cell: Any) -> None:
    tree = with_a_failing_cell
    failed = tree.snakemake("--keep-going", "--retries", "0")
    assert failed.returncode != 0
    log = (tree.root / f"results/logs/train_fusion/resnet_{FAILING}_lambda_1.0_seed_0.log").read_text(encoding="utf-8")
    assert "is not finite in epoch 1" in log
    assert "Traceback" not in log
    assert (tree.root / CELLS.format(fusion=GOOD)).is_file()
    left = {job for job in tree.planned() if job.startswith(("train_fusion", "evaluate_fusion"))}
    assert left == {f"{rule} resnet/{FAILING}/1.0/0" for rule in ("train_fusion", "evaluate_fusion")}

    before = (tree.root / "results/figures/lambda_ablation.png").stat().st_mtime_ns
    drawn = tree.snakemake("--config", "only_finished=true")
    assert drawn.returncode == 0, drawn.stdout + drawn.stderr
    assert (tree.root / "results/figures/lambda_ablation.png").stat().st_mtime_ns > before
    (hole,) = rows(tree.root / "results/metrics/missing.csv")
    assert hole == {"architecture": "resnet", "fusion": FAILING, "lambda": "1.0", "seed": "0", "reason": REASON}
    reasons = {row["fusion"]: row["reason"] for row in rows(tree.root / "results/tables/results.csv")}
    assert {fusion for fusion, reason in reasons.items() if not reason} >= {"concatenation", GOOD}
    assert reasons[FAILING] == REASON
    assert "missing: not trained" in (tree.root / "results/tables/results.tex").read_text(encoding="utf-8")
