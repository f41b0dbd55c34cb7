"""The README's example of a new fusion rule, done exactly as it says, and trained."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("Snakefile", "rules", "workflow", "lib", "config", "envs", "profiles", "pyproject.toml")
CONFIG = """
name: readme
data: {source: digits}
splits: {experts: 2, shared_fraction: 0.4, unique_fraction: 0.3}
architectures: {resnet: {width: 4, blocks: [1]}}
pretraining: {epochs: 1, augmentation: none}
fusion: {epochs: 1, augmentation: none}
grid: [{architectures: [resnet], fusions: [mean], lambdas: ["1.0"], seeds: [0]}]
execution: {precision: fp32, compile: "off"}
"""


def insert_before_end(path: Path, start: str, line: str) -> None:
    """Insert `line` before the closing brace of the dict that begins with `start`."""
    head, tail = path.read_text().split(start, 1)
    path.write_text(head + start + tail.replace("\n}\n", f"\n{line}\n}}\n", 1))


@pytest.mark.slow
def test_the_new_rule_of_the_readme_trains(tmp_path: Path) -> None:
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, tmp_path / name)
    section = (ROOT / "README.md").read_text().split("## Adding a fusion rule", 1)[1]
    rule, entry, defaults = re.findall(r"```python\n(.*?)\n```", section, flags=re.DOTALL)

    models = tmp_path / "lib/certifuse/models/fusion.py"
    models.write_text(models.read_text().replace("\nFUSIONS: dict", f"\n{rule}\n\n\nFUSIONS: dict", 1))
    insert_before_end(models, "FUSIONS: dict", entry)
    insert_before_end(tmp_path / "lib/certifuse/settings/fusion.py", "GUIDE_DEFAULTS: dict", defaults)
    (tmp_path / "readme.yaml").write_text(CONFIG)

    target = "results/fusion_checkpoints/resnet_fusions_lambda_1.0/mean/seed_0/manifest.json"
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["snakemake", "--configfile", "readme.yaml", "--", target]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / target).is_file()
