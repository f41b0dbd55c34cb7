import os
import subprocess
import sys
from pathlib import Path

import pytest

from certifuse.study.settings.evaluation import StatisticsSettings
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.steps import FigureStep

ROOT = Path(__file__).resolve().parents[3]
STATISTICS = StatisticsSettings()


@pytest.fixture
def inputs(frames, terms, ledgers, tmp_path) -> dict[str, Path]:
    tables = vars(frames) | {"terms": terms, "ledgers": ledgers}
    paths = {name: tmp_path / f"{name}.csv" for name in tables}
    for name, path in paths.items():
        tables[name].to_csv(path, index=False)
    return paths


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", f"workflow/scripts/{script}.py", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lib")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def options(paths: dict[str, Path], *names: str) -> list[object]:
    return [part for name in names for part in (f"--{name}", paths[name])]


def test_draw_a_figure_of_one_budget(inputs, tmp_path):
    step = FigureStep(study="digits", style=FigureSettings(dpi=40), statistics=STATISTICS)
    png, pdf = tmp_path / "out" / "figure.png", tmp_path / "out" / "figure.pdf"
    arguments = ["--settings", step.model_dump_json(), "--figure", "learned_gating_heatmap", "--budget", 1000]
    files = options(inputs, "metrics", "gates", "missing")
    done = run("draw_sublora_figure", *arguments, *files, "--png", png, "--pdf", pdf)
    assert (done.returncode, done.stderr) == (0, "")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert pdf.read_bytes().startswith(b"%PDF")


def test_a_figure_of_splits_needs_no_certificate(inputs, tmp_path):
    step = FigureStep(study="digits", style=FigureSettings(dpi=40), statistics=STATISTICS)
    drawn = []
    for name, files in {"alone": ("gates", "missing"), "beside": ("metrics", "gates", "missing")}.items():
        png = tmp_path / f"{name}.png"
        figure = ["--settings", step.model_dump_json(), "--figure", "learned_gating_trend", "--png", png]
        done = run("draw_sublora_figure", *figure, "--pdf", tmp_path / "a.pdf", *options(inputs, *files))
        assert (done.returncode, done.stderr) == (0, "")
        drawn.append(png.read_bytes())
    assert drawn[0] == drawn[1]
    other = [*figure[:2], "--figure", "gating_nulls", *figure[4:], "--pdf", tmp_path / "a.pdf"]
    refused = run("draw_sublora_figure", *other, *options(inputs, "gates", "missing"))
    assert refused.returncode == 2
    assert "figure gating_nulls: expected --metrics FILE, found none" in refused.stderr


def test_a_figure_of_the_study_takes_no_budget(inputs, tmp_path):
    step = FigureStep(study="digits", style=FigureSettings(dpi=40), statistics=STATISTICS)
    arguments = ["--settings", step.model_dump_json(), "--figure", "gating_nulls", "--budget", 1000]
    files = options(inputs, "metrics", "gates", "missing")
    done = run("draw_sublora_figure", *arguments, *files, "--png", tmp_path / "a.png", "--pdf", tmp_path / "a.pdf")
    assert done.returncode == 2
    assert "expected no budget, found 1000" in done.stderr


def test_write_the_tables(inputs, tmp_path):
    settings = f'{{"study": "digits", "statistics": {STATISTICS.model_dump_json()}}}'
    files = options(inputs, "metrics", "gates", "missing", "terms", "ledgers")
    done = run("write_sublora_tables", "--settings", settings, *files, "--output-dir", tmp_path / "tables")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "tables" / "hypotheses.md").read_text(encoding="utf-8").startswith("# SubLoRA study digits")
