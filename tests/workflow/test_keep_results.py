"""What is kept of a finished study: whole, equal to its results, and with one manifest of how it was made."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN_IN_THE_COPY = [
    *("metrics/fusion_performance_summary.csv", "metrics/costs.csv", "metrics/paired_comparisons.csv"),
    *("splits/splits.json", "figures/lambda_ablation.png", "figures/reliability.png"),
]


def keep(tree: Any, target: str) -> Any:
    return tree.run(sys.executable, "workflow/keep_results.py", "config/config.yaml", target)


@pytest.mark.slow
def test_files_are_those_of_the_study_and_the_page_is_left_alone(copied: Any) -> None:
    page = copied.root / "docs" / "results" / "mini" / "README.md"
    page.parent.mkdir(parents=True)
    page.write_text("# By hand\n")
    (page.parent / "old.csv").touch()
    done = keep(copied, str(page.parent))
    assert done.returncode == 0, done.stderr
    assert page.read_text() == "# By hand\n"
    assert f"left as it was: {page.parent / 'old.csv'}\n" in done.stdout
    assert done.stdout.count("left as it was") == 1

    results = copied.root / "results"
    for name in RUN_IN_THE_COPY:
        assert (page.parent / Path(name).name).read_bytes() == (results / name).read_bytes(), name
    tables = {path.name: path.read_bytes() for path in (results / "tables").iterdir() if path.suffix != ".json"}
    assert {path.name: path.read_bytes() for path in (page.parent / "tables").iterdir()} == tables
    config = copied.root / "config" / "config.yaml"
    assert (page.parent / "config.yaml").read_bytes() == config.read_bytes()

    manifest = json.loads((page.parent / "manifest.json").read_text())
    assert manifest["study"] == "mini"
    assert {name: jobs["jobs"] for name, jobs in manifest["training_jobs"].items()} == {
        "pretrain_expert": 3,
        "finetune_experts": 1,
        "train_fusion": 2,
    }
    cell = json.loads(next(results.glob("fusion_checkpoints/**/manifest.json")).read_text())
    assert manifest["runtimes"] == [cell["runtime"]]
    assert manifest["training_commits"] == [cell["environment"]["git"]["commit"] or "none"]
    (data,) = manifest["data_sha256"]
    assert data == cell["data_sha256"]
    assert set(data) == {"images", "splits"}
    assert manifest["workflow_elapsed"].startswith("0:")


def test_results_of_an_older_version_are_refused_in_one_line(copied: Any, tmp_path: Path) -> None:
    manifest = copied.results / "metrics" / "gather_manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 1}))
    done = keep(copied, str(tmp_path / "kept"))
    said = "metrics/gather_manifest.json: made by an older version: rerun the steps, or use that version"
    assert (done.returncode, done.stderr.splitlines()) == (1, [f"error: results/{said}"])
    assert not (tmp_path / "kept").exists()


def test_a_study_without_tables_is_refused_in_one_line(sources: Any, tmp_path: Path) -> None:
    done = keep(sources, str(tmp_path / "kept"))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: results/tables: expected the tables of a finished study, found none; run snakemake first"
    ]
    assert not (tmp_path / "kept").exists()
