"""config/README.md and config/schema.json are what the settings models say, and the shipped configs fit the schema."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from certifuse.study import reference

CONFIG = Path(__file__).resolve().parents[2] / "config"


def test_the_reference_is_generated_from_the_models() -> None:
    introduction, *sections = (CONFIG / "README.md").read_text().partition("## The study\n")
    assert "".join(sections) == reference.reference_text(), "run: make reference"
    assert introduction.startswith("# Configuration\n")


def test_the_schema_is_generated_from_the_models() -> None:
    assert (CONFIG / "schema.json").read_text() == reference.schema_text(), "run: make reference"


@pytest.mark.parametrize("name", ["config.yaml", "cifar100_small.yaml", "cifar100.yaml"])
def test_the_shipped_configurations_fit_the_schema(name: str) -> None:
    jsonschema.validate(yaml.safe_load((CONFIG / name).read_text()), json.loads(reference.schema_text()))


def test_the_schema_refuses_an_unknown_key() -> None:
    config = yaml.safe_load((CONFIG / "config.yaml").read_text()) | {"epoch": 3}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, json.loads(reference.schema_text()))


def test_every_key_has_a_meaning() -> None:
    rows = [line for line in reference.reference_text().splitlines() if line.startswith("| `")]
    without = [row for row in rows if row.endswith("|  |")]
    assert not without, without
