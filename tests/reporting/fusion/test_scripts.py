import os
import subprocess
import sys
from pathlib import Path

import pytest

from certifuse.reporting.frames import COSTS, Frames
from certifuse.study.study import read_study

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def inputs(tiny, tmp_path) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.csv" for name in Frames.__dataclass_fields__}
    for name, path in paths.items():
        getattr(tiny, name).to_csv(path, index=False)
    return paths


@pytest.fixture
def study():
    block = {"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["1.0"], "seeds": [0]}
    return read_study(
        {"name": "tiny", "data": {"source": "digits"}, "grid": [block], "figures": {"diversity": {"dpi": 40}}}
    )


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", f"workflow/scripts/{script}.py", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lib")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def options(paths: dict[str, Path]) -> list[object]:
    return [part for name, path in paths.items() for part in (f"--{name}", path)]


def test_draw_figure_with_the_settings_of_the_rule(inputs, study, tmp_path):
    png, pdf = tmp_path / "out" / "figure.png", tmp_path / "out" / "figure.pdf"
    arguments = ["--settings", study.for_figure("diversity"), "--figure", "diversity", *options(inputs)]
    done = run("draw_figure", *arguments, "--png", png, "--pdf", pdf)
    assert (done.returncode, done.stderr) == (0, "")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert pdf.read_bytes().startswith(b"%PDF")


def test_write_tables_with_the_settings_of_the_rule(inputs, study, tmp_path):
    needed = {name: inputs[name] for name in ("summary", "comparison", "missing")} | {"costs": tmp_path / "costs.csv"}
    needed["costs"].write_text(",".join(COSTS) + "\n", encoding="utf-8")
    arguments = ["--settings", study.for_tables(), *options(needed), "--output-dir", tmp_path / "tables"]
    done = run("write_tables", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "tables" / "tables.tex").is_file()
