"""The README's example of a new fusion rule, done exactly as it says, and trained."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def insert_before_end(path: Path, start: str, line: str) -> None:
    """Insert `line` before the closing brace of the dict that begins with `start`."""
    head, tail = path.read_text().split(start, 1)
    path.write_text(head + start + tail.replace("\n}\n", f"\n{line}\n}}\n", 1))


@pytest.mark.slow
def test_the_new_rule_of_the_readme_trains(copied: Any) -> None:
    section = (ROOT / "README.md").read_text().split("## Adding a fusion rule", 1)[1]
    rule, entry, defaults = re.findall(r"```python\n(.*?)\n```", section, flags=re.DOTALL)
    target = "results/fusion_checkpoints/resnet_fusions_lambda_1.0/mean/seed_0/manifest.json"
    config = copied.config()
    config["grid"] = [{"architectures": ["resnet"], "fusions": ["mean"], "lambdas": ["1.0"], "seeds": [0]}]
    copied.write_config(config)
    before = copied.snakemake(target)
    assert before.returncode != 0
    assert "expected one of" in before.stdout + before.stderr, "an unknown rule is refused"

    models = copied.root / "lib/certifuse/models/fusion.py"
    models.write_text(models.read_text().replace("\nFUSIONS: dict", f"\n{rule}\n\n\nFUSIONS: dict", 1))
    insert_before_end(models, "FUSIONS: dict", entry)
    insert_before_end(copied.root / "lib/certifuse/settings/fusion.py", "GUIDE_DEFAULTS: dict", defaults)
    done = copied.snakemake(target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (copied.root / target).is_file()
