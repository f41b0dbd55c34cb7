import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from certifuse.study.settings.evaluation import StatisticsSettings
from certifuse.study.settings.figures import FigureSettings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def inputs(one, tmp_path) -> list[object]:
    paths = {"certificates": tmp_path / "certificates.csv", "ledgers": tmp_path / "ledgers.csv"}
    for name, path in paths.items():
        getattr(one, name).to_csv(path, index=False)
    return [part for name, path in paths.items() for part in (f"--{name}", path)]


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", f"workflow/scripts/{script}.py", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lib")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_draw_certificate_figure(inputs, tmp_path):
    settings = {"study": "tiny", "style": FigureSettings(dpi=40).plain(), "statistics": StatisticsSettings().plain()}
    png, pdf = tmp_path / "out" / "figure.png", tmp_path / "out" / "figure.pdf"
    arguments = ["--settings", json.dumps(settings), "--figure", "certificate_frontier", *inputs]
    done = run("draw_certificate_figure", *arguments, "--png", png, "--pdf", pdf)
    assert (done.returncode, done.stderr) == (0, "")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert pdf.read_bytes().startswith(b"%PDF")


def test_write_certificate_tables(inputs, tmp_path):
    settings = json.dumps({"study": "tiny", "statistics": StatisticsSettings().plain()})
    arguments = ["--settings", settings, *inputs, "--output-dir", tmp_path / "tables"]
    done = run("write_certificate_tables", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "tables" / "crossings.csv").is_file()


def test_a_wrong_file_is_one_line_and_status_two(inputs, tmp_path):
    settings = json.dumps({"study": "tiny", "statistics": StatisticsSettings().plain()})
    swapped = ["--certificates", inputs[3], "--ledgers", inputs[1]]
    done = run("write_certificate_tables", "--settings", settings, *swapped, "--output-dir", tmp_path / "tables")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "ledgers.csv: expected the columns" in done.stderr
    assert not (tmp_path / "tables").exists()
