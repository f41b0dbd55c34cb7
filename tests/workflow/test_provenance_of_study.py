"""A study in which every rule has really run: from every product back to runs, commits, data and settings."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certifuse.cli.main import main
from certifuse.cli.provenance.lineage import lineage_of
from certifuse.study.figures import figures_of

pytestmark = pytest.mark.slow

SCORED = {"prepare_images", "split_images", "train_fusion"}
TRAINED = {"prepare_images", "split_images", "pretrain_expert"}
PARENTS = {
    "write_tables": {"gather", "compare_cells"},
    "gather": {"evaluate_fusion", "evaluate_baselines", "train_fusion", "pretrain_expert", "finetune_experts"},
    "compare_cells": {"evaluate_fusion", "evaluate_baselines"},
    "evaluate_fusion": SCORED,
    "evaluate_baselines": TRAINED | {"finetune_experts"},
    "train_fusion": TRAINED,
    "finetune_experts": TRAINED,
    "pretrain_expert": {"prepare_images", "split_images"},
    "split_images": {"prepare_images"},
    "prepare_images": set(),
    "certify_subspace": TRAINED,
    "certify_joint": TRAINED | {"train_fusion"},
    "gather_certificates": {"certify_subspace", "certify_joint"},
    "write_certificate_tables": {"gather_certificates"},
    "prepare_corpus": set(),
    "train_sublora": {"prepare_corpus"},
    "certify_sublora": {"prepare_corpus", "train_sublora"},
    "certify_ngram": {"prepare_corpus"},
    "gather_sublora": {"train_sublora", "certify_sublora", "certify_ngram"},
    "gather_gates": {"train_sublora"},
    "write_sublora_tables": {"gather_sublora", "gather_gates"},
    "write_start_page": {
        *("gather", "compare_cells", "gather_certificates", "gather_sublora", "gather_gates", "draw_figure"),
        *("write_tables", "write_certificate_tables", "write_sublora_tables"),
    },
}
"""Every rule that computes something, and the rules whose files it reads; of figures each its own."""
FIGURES = {
    "fusion_comparison": {"gather", "compare_cells"},
    "lambda_ablation": {"gather", "compare_cells"},
    "reliability": {"gather"},
    "training_curves": {"gather"},
    "diversity": {"gather"},
    **{figure: {"gather_certificates"} for figure in figures_of("certificates")},
    **{figure: {"gather_sublora"} for figure in figures_of("sublora")},
    "learned_gating_trend": {"gather_gates"},
    "learned_gating_heatmap": {"gather_gates"},
}
GIVEN = {"documents.jsonl", "figures.rst"}
"""Files that no rule makes."""
PRODUCTS = ("figures", "tables", "metrics", "certificates", "sublora")


def test_every_file_has_its_run(whole: Any, records: Any) -> None:
    files = whole.files()
    assert len(files) > 150
    unknown = [path for path in files if not path.startswith(".resume/") and records.maker(path) is None]
    assert unknown == []


@pytest.mark.parametrize("directory", PRODUCTS)
def test_every_link_of_every_product_holds(whole: Any, records: Any, directory: str) -> None:
    for path in whole.files(directory):
        lineage = lineage_of(records, path)
        assert {read.state for read in lineage.readings} <= {"same"}
        assert not any(read.made_again for read in lineage.readings)
        parents: dict[str, set[str]] = {run.step: set() for run in lineage.runs}
        for read in lineage.readings:
            assert read.maker is not None or Path(read.file.path).name in GIVEN, read.file.path
            if read.maker is not None:
                parents[read.reader.step].add(read.maker.step)
        figures = {run.settings["figure"] for run in lineage.runs if run.step == "draw_figure"}
        expected = PARENTS | {"draw_figure": set().union(*(FIGURES[figure] for figure in figures))}
        assert parents == {step: expected[step] for step in parents}


@pytest.mark.parametrize("directory", PRODUCTS)
def test_the_command_tells_runs_commits_data_and_settings_of_every_product(
    whole: Any, records: Any, capsys: pytest.CaptureFixture[str], directory: str
) -> None:
    head = records.runs[0].git["commit"][:12]
    files = [path for path in whole.files(directory) if not path.endswith("manifest.json")]
    assert files
    for path in files:
        assert main(["provenance", str(whole.results / path)]) == 0
        told = capsys.readouterr().out
        run = records.maker(path)[0]
        assert f"made by {run.label}, according to its manifest" in told
        assert ": as it was written" in told.splitlines()[1]
        assert all(part in told for part in (run.source[:12], run.settings_digest[:12], head, "torch ", "device cpu"))
        data = json.loads((records.root / run.record).read_text())["data_sha256"]
        assert all(digest[:12] in told for digests in data.values() for digest in digests), path
        assert not any(word in told for word in ("CHANGED", "ABSENT", "MADE AGAIN", "not recorded")), told


# ---- what was changed, and what is missing -------------------------------------------------------------


@pytest.fixture
def told_of(whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """What the command tells of a file of a copy of the results, without Snakemake's records, on one line."""
    shutil.copytree(whole.root / "results", tmp_path / "results")

    def tell(path: str) -> str:
        code = main(["provenance", str(tmp_path / "results" / path)])
        captured = capsys.readouterr()
        assert (code, captured.err) in ((0, ""), (2, captured.err))
        return " ".join((captured.out + captured.err).split())

    return tell


TAMPERED = {
    "tables/results.csv": None,
    "tables/sublora/terms.csv": None,
    "metrics/fusion_performance_summary.csv": "figures/lambda_ablation.png",
    "metrics/certificates.csv": "figures/certified_vs_test.pdf",
    "metrics/sublora.csv": "tables/sublora/summary_table.tex",
    "certificates/resnet_concatenation_lambda_1.0/seed_0/d_4/levels_3/certificate.json": "tables/certificates.csv",
    "certificates/resnet_concatenation_lambda_1.0/seed_0/joint/model.cfqv": None,
    "csv_logs/resnet_fusions/resnet_concatenation_lambda_0.5_seed_0_training_log.csv": "figures/lambda_ablation.png",
}
"""A file that is edited, and one that came from it."""


@pytest.mark.parametrize("path", TAMPERED)
def test_a_file_that_was_edited_is_named(told_of: Callable[[str], str], tmp_path: Path, path: str) -> None:
    below = TAMPERED[path]
    assert ": as it was written" in told_of(path), "the negative control"
    with (tmp_path / "results" / path).open("ab") as stream:
        stream.write(b" ")
    assert "CHANGED since it was written" in told_of(path)
    if below is not None:
        assert f"{path}: CHANGED since it was read" in told_of(below)


def test_what_is_missing_is_said(told_of: Callable[[str], str], tmp_path: Path) -> None:
    results, summary = tmp_path / "results", "metrics/fusion_performance_summary.csv"
    (results / summary).unlink()
    assert f"{summary}: ABSENT now" in told_of("tables/results.csv")
    (results / "metrics" / "gather_manifest.json").unlink()
    assert f"what made {summary}, which write_tables read" in told_of("tables/results.csv")
    (results / "tables" / "write_tables_manifest.json").unlink()
    assert "tables/results.csv: nothing here made this file: no manifest names it" in told_of("tables/results.csv")
