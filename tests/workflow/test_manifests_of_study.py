"""A study in which every rule has really run: every output is in a manifest, and every manifest holds every field."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from certifuse.base.digests import digest_file
from certifuse.study.steps.registry import STEPS

pytestmark = pytest.mark.slow

DIRECTORIES = {
    *("data", "splits", "experts", "experts_finetuned", "fusion_checkpoints", "csv_logs", "metrics", "certificates"),
    *("sublora", "figures", "tables", "index.html"),
}
COMMIT, SHA256, FINGERPRINT = (re.compile(f"[0-9a-f]{{{digits}}}") for digits in (40, 64, 16))

FIELDS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "settings": lambda record: isinstance(record["settings"], dict),
    "source fingerprint": lambda record: bool(FINGERPRINT.fullmatch(record["source_fingerprint"])),
    "git commit": lambda record: bool(COMMIT.fullmatch(record["environment"]["git"]["commit"])),
    "dirty flag with the digest of the difference": lambda record: dirty_as_told(record["environment"]["git"]),
    "digests of data and splits": lambda record: data_as_told(record["data_sha256"]),
    "digests of inputs": lambda record: all(map(SHA256.fullmatch, record["inputs_sha256"].values())),
    "package versions": lambda record: {"python", "torch", "numpy"} <= known(record["environment"]["packages"]),
    "device": lambda record: record["runtime"]["device"] == "cpu",
    "determinism switches": lambda record: record["runtime"]["deterministic"] is True,
    "times": lambda record: record["started"] < record["finished"],
    "wall time": lambda record: 0 < record.get("wall_s", record.get("training_wall_s")) < 600,
    "peak memory": lambda record: record["peak_memory_bytes"] > 10 * 2**20,
}
"""What each manifest must hold."""


def dirty_as_told(git: dict[str, Any]) -> bool:
    return bool(SHA256.fullmatch(git["diff_sha256"])) if git["dirty"] else git["diff_sha256"] is None


def data_as_told(data: dict[str, list[str]]) -> bool:
    """One content each, of the images and the splits, of the corpus, or of all that the start page shows."""
    whole = set(data) in ({"images"}, {"images", "splits"}, {"corpus"}, {"images", "splits", "corpus"})
    return whole and all(len(digests) == 1 and SHA256.fullmatch(digests[0]) for digests in data.values())


def known(packages: dict[str, str | None]) -> set[str]:
    return {name for name, version in packages.items() if version}


def test_every_rule_is_in_this_study(records: Any) -> None:
    assert set(STEPS) == {run.step for run in records.runs}


@pytest.mark.parametrize("field", FIELDS)
def test_every_manifest_has(records: Any, field: str) -> None:
    manifests = {run.record: json.loads((records.root / run.record).read_text()) for run in records.runs}
    assert [path for path, record in manifests.items() if not FIELDS[field](record)] == []


def test_every_output_of_every_rule_is_in_a_manifest_with_its_digest(whole: Any, records: Any) -> None:
    """By what Snakemake knows of the outputs: each has its rule's manifest, and a digest there if it is no manifest."""
    directories = set()
    for path in whole.files():
        told = records.snakemake.run(path)
        if told is None or path.startswith("benchmarks/"):
            continue
        run, witness = records.maker(path) or pytest.fail(f"{path}: no run made it")
        assert (run.step, witness) == (told.step, "its manifest"), path
        assert path == run.record or run.written(path) == digest_file(whole.results / path), path
        directories.add(path.partition("/")[0])
    assert directories == DIRECTORIES


def test_data_are_those_of_the_study(records: Any) -> None:
    own = {"images": "data/images.safetensors", "splits": "splits/splits.safetensors"}
    own["corpus"] = "data/corpus/manifest.json"
    expected = {name: {digest_file(records.root / path)} for name, path in own.items()}
    found: dict[str, set[str]] = {}
    for run in records.runs:
        for name, digests in json.loads((records.root / run.record).read_text())["data_sha256"].items():
            found.setdefault(name, set()).update(digests)
    assert found == expected


def test_the_later_runs_had_changes_that_were_not_committed(records: Any) -> None:
    """The negative control of the dirty flag: the configuration was written anew after the first of them."""
    dirty = {run.step: run.git["dirty"] for run in records.runs}
    assert {step for step, flag in dirty.items() if flag} >= {"certify_subspace", "prepare_corpus", "gather_sublora"}
    assert {step for step, flag in dirty.items() if not flag} >= {"prepare_images", "train_fusion", "gather"}


def test_what_manifest_and_snakemake_tell_agrees(records: Any) -> None:
    for run in records.runs:
        assert run.source == run.snakemake["source"]
        assert run.settings is not None
        assert run.started < run.finished
