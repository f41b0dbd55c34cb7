"""A wrong configuration is refused before any job: one line for each mistake, no traceback."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
REFUSED = [
    ('fusion={"epoch": 3}', "config: fusion.epoch: unknown key; allowed: "),
    ('fusion={"epochs": "three"}', 'config: fusion.epochs: expected a whole number, found "three"'),
    ("fusions=3", "config: fusions: unknown key; allowed: "),
    ("only_finished=perhaps", 'config: only_finished: expected true or false, found "perhaps"'),
]


@pytest.mark.parametrize(("override", "line"), REFUSED)
def test_a_wrong_override_is_one_line(sources: Any, override: str, line: str) -> None:
    done = sources.snakemake("--config", override)
    assert done.returncode == 1
    said = sources.said(done)
    assert len(said) == 1
    assert said[0].startswith(line)
    assert not (sources.root / "results").exists()


def test_a_wrong_configuration_file_is_one_line_for_each_mistake(sources: Any) -> None:
    config = (ROOT / "config" / "config.yaml").read_text(encoding="utf-8")
    wrong = config.replace("epochs: 30", "epochs: thirty").replace("scheme: iid", "sheme: iid")
    (sources.root / "wrong.yaml").write_text(wrong, encoding="utf-8")
    done = sources.snakemake("--configfile", "wrong.yaml")
    assert done.returncode == 1
    said = sources.said(done)
    assert [line.split(": ")[:2] for line in said] == [["config", "splits.sheme"], ["config", "pretraining.epochs"]]
    assert said[0].endswith("did you mean 'scheme'?")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("name: [a\n", "expected YAML, found while parsing a flow "),
        ("name: a\nname: b\n", "line 2: name: expected each key once, found it on line 1 too"),
    ],
)
def test_an_unreadable_default_configuration_is_one_line(
    sources: Any, tmp_path: Path, content: str, problem: str
) -> None:
    tree = sources.copy(tmp_path / "sources")
    file = tree.root / "config" / "config.yaml"
    file.write_text(content, encoding="utf-8")
    done = tree.snakemake("-n")
    assert done.returncode == 1
    (said,) = tree.said(done)
    assert said.startswith(f"{file}: {problem}")


def test_a_key_that_stands_twice_in_a_configfile_is_one_line(sources: Any) -> None:
    file = sources.root / "twice.yaml"
    text = (ROOT / "config" / "config.yaml").read_text(encoding="utf-8")
    file.write_text(f"{text}fusion: {{epochs: 3}}\n", encoding="utf-8")
    done = sources.snakemake("-n", "--configfile", "twice.yaml")
    assert done.returncode == 1
    (said,) = sources.said(done)
    assert re.fullmatch(rf"{file}: line \d+: fusion: expected each key once, found it on line \d+ too", said)
