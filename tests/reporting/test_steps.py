"""The programs of figures and tables, with the settings of the rules, and the registry of figures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from reporting_study import draw_files, step_of, written

from certifuse.base.fingerprint import source_fingerprint
from certifuse.base.manifest import read_manifest
from certifuse.base.registry import implementations
from certifuse.reporting.frames import empty_frame
from certifuse.reporting.fusion.frames import SCHEMAS
from certifuse.study.figures import FIGURES, figures_of
from certifuse.study.steps.reporting import DrawFigure, WriteTables
from certifuse.study.study import read_study

ROOT = Path(__file__).resolve().parents[2]
BLOCK = {"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["1.0"], "seeds": [0]}


@pytest.fixture
def study():
    return read_study(
        {"name": "tiny", "data": {"source": "digits"}, "grid": [BLOCK], "figures": {"diversity": {"dpi": 40}}}
    )


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", f"workflow/scripts/{script}.py", "--source", "0" * 16]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lib")}
    command += map(str, arguments)
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_draw_figure_with_the_settings_of_the_rule(tiny, study, tmp_path):
    step = DrawFigure.of(study, {"figure": "diversity"})
    files = draw_files(tiny, step, tmp_path)
    options = ["--tables", *files.tables, "--png", files.png, "--pdf", files.pdf]
    done = run("draw_figure", "--settings", step.text, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert files.png.read_bytes().startswith(b"\x89PNG")
    assert files.pdf.read_bytes().startswith(b"%PDF")
    manifest = read_manifest(tmp_path / "figure_manifest.json")
    assert (manifest["step"], manifest["identity"]) == ("draw_figure", {"figure": "diversity"})
    assert set(manifest["inputs_sha256"]) == {"tables/summary.csv", "tables/missing.csv"}


def test_write_tables_with_the_settings_of_the_rule(tiny, study, tmp_path):
    paths = written(tiny, tmp_path, "summary", "comparison", "missing") | {"costs": tmp_path / "costs.csv"}
    empty_frame(SCHEMAS["costs"]).to_csv(paths["costs"], index=False)
    options = [part for name, path in paths.items() for part in (f"--{name}", path)]
    done = run("write_tables", "--settings", WriteTables.of(study, {}).text, *options, "--output-dir", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "tables.tex").is_file()


def test_a_wrong_file_is_one_line_and_status_two(tiny, tmp_path):
    paths = list(written(tiny, tmp_path, "missing", "summary").values())
    options = ["--tables", *paths, "--png", tmp_path / "figure.png", "--pdf", tmp_path / "figure.pdf"]
    done = run("draw_figure", "--settings", step_of("diversity").text, *options)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "summary.csv: expected the columns" in done.stderr
    assert not (tmp_path / "figure.png").exists()


# ---- the registry --------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["fusion", "certificates", "sublora"])
def test_every_figure_has_a_module_of_its_name(part):
    assert set(implementations(f"certifuse.reporting.{part}.figures", "draw")) == set(figures_of(part))


def test_a_study_has_the_figures_of_its_parts(study):
    assert list(study.drawings) == list(figures_of("fusion"))
    language = {"corpus": {"source": "python_docs"}}
    grid = [{"budgets": [64, 128], "modes": ["uniform", "learned"], "seeds": [0]}]
    drawings = read_study({"name": "words", "sublora": {**language, "grid": grid}}).drawings
    assert {f"sublora/pareto_frontier_d{d}" for d in (64, 128)} <= set(drawings)
    assert set(drawings["sublora/learned_gating_heatmap_d64"].labels.values()) == {"learned_gating_heatmap", "64"}
    assert len(drawings) == 3 * 2 + 4


def test_settings_hold_the_statistics_that_a_figure_shows(study):
    shown = {name: set(DrawFigure.of(study, {"figure": name}).statistics) for name in figures_of("fusion")}
    assert shown == {
        "lambda_ablation": {"confidence", "convergence_tolerance"},
        **{name: {"confidence"} for name in ("fusion_comparison", "diversity")},
        **{name: set() for name in ("reliability", "training_curves")},
    }


def test_a_figure_counts_its_own_module_and_no_other():
    script = ROOT / "workflow" / "scripts" / "draw_figure.py"
    steps = [step_of(name, budget=8 if figure.budgets else None) for name, figure in FIGURES.items()]
    assert len({source_fingerprint(script, step.modules()) for step in steps}) == len(steps)
    for step in steps:
        assert [name.rpartition(".")[2] for name in step.modules()] == ["frames", step.figure]
