"""The README's examples of a new fusion rule and a new architecture, done exactly as it says, and trained."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def insert_before_end(path: Path, start: str, line: str) -> None:
    """Insert `line` before the closing brace of the dict that begins with `start`."""
    head, tail = path.read_text().split(start, 1)
    path.write_text(head + start + tail.replace("\n}\n", f"\n{line}\n}}\n", 1))


def insert_before(path: Path, start: str, text: str) -> None:
    """Insert `text` before the line that begins with `start`."""
    path.write_text(path.read_text().replace(f"\n{start}", f"\n{text}\n\n\n{start}", 1))


def examples() -> list[str]:
    section = (ROOT / "README.md").read_text().split("## Adding a fusion rule", 1)[1]
    return re.findall(r"```python\n(.*?)\n```", section, flags=re.DOTALL)


def train_in(copied: Any, block: dict[str, str]) -> tuple[str, Any]:
    """Ask for one cell of a new kind; its manifest, and what Snakemake said."""
    cell = {"architecture": "resnet", "fusion": "concatenation"} | block
    config = copied.config()
    names = {f"{key}s": [value] for key, value in cell.items()}
    config["grid"] = [names | {"lambdas": ["1.0"], "seeds": [0]}]
    copied.write_config(config)
    directory = f"results/fusion_checkpoints/{cell['architecture']}_fusions_lambda_1.0/{cell['fusion']}/seed_0"
    return f"{directory}/manifest.json", copied.snakemake(f"{directory}/manifest.json")


def check_trained(copied: Any, block: dict[str, str]) -> None:
    manifest, done = train_in(copied, block)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (copied.root / manifest).is_file()


def check_unknown(copied: Any, block: dict[str, str]) -> None:
    _, refused = train_in(copied, block)
    assert refused.returncode != 0
    assert "expected one of" in refused.stdout + refused.stderr


@pytest.mark.slow
def test_the_new_rule_of_the_readme_trains(copied: Any) -> None:
    rule, defaults = examples()[:2]
    check_unknown(copied, {"fusion": "mean"})
    (copied.root / "lib/certifuse/models/images/fusion/mean.py").write_text(f"{rule}\n")
    insert_before_end(copied.root / "lib/certifuse/study/settings/fusion.py", "GUIDE_DEFAULTS: dict", defaults)
    check_trained(copied, {"fusion": "mean"})


@pytest.mark.slow
def test_the_new_architecture_of_the_readme_trains(copied: Any) -> None:
    sizes, entry, network = examples()[2:]
    check_unknown(copied, {"architecture": "plain_convolutions"})
    settings = copied.root / "lib/certifuse/study/settings/architectures.py"
    insert_before(settings, "ARCHITECTURE_SETTINGS: dict", sizes)
    insert_before_end(settings, "ARCHITECTURE_SETTINGS: dict", entry)
    (copied.root / "lib/certifuse/models/images/architectures/plain_convolutions.py").write_text(f"{network}\n")
    check_trained(copied, {"architecture": "plain_convolutions"})
