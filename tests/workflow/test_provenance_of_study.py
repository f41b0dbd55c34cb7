"""The small study that was really run: every file of it has its provenance, and it packs as a crate."""

import json

import pytest

from certifuse.cli.main import main
from certifuse.lineage.records import Records
from certifuse.lineage.trace import lineage_of

pytestmark = pytest.mark.slow

PARENTS = {
    "draw_figure": {"gather", "compare_cells"},
    "write_tables": {"gather", "compare_cells"},
    "gather": {"evaluate_fusion", "evaluate_baselines", "train_fusion"},
    "compare_cells": {"evaluate_fusion", "evaluate_baselines"},
    "evaluate_fusion": {"prepare_images", "split_images", "train_fusion"},
    "evaluate_baselines": {"prepare_images", "split_images", "pretrain_expert", "finetune_experts"},
    "train_fusion": {"prepare_images", "split_images", "pretrain_expert"},
    "finetune_experts": {"prepare_images", "split_images", "pretrain_expert"},
    "pretrain_expert": {"prepare_images", "split_images"},
    "split_images": {"prepare_images"},
    "prepare_images": set(),
}


@pytest.fixture
def records(finished):
    return Records((finished.root / "results").resolve())


def test_every_file_has_its_run(records):
    files = [path.relative_to(records.root).as_posix() for path in records.root.rglob("*") if path.is_file()]
    assert len(files) > 100
    unknown = [path for path in files if not path.startswith(".resume/") and records.maker(path) is None]
    assert unknown == []


def test_every_link_of_every_figure_and_table_holds(records):
    for path in (*records.root.glob("figures/*"), *records.root.glob("tables/*")):
        lineage = lineage_of(records, path.relative_to(records.root).as_posix())
        assert {read.state for read in lineage.readings} == {"same"}
        assert not any(read.made_again for read in lineage.readings)
        assert not lineage.touched
        parents = {run.step: set() for run in lineage.runs}
        for read in lineage.readings:
            parents[read.reader.step].add(read.maker.step)
        assert parents == {step: PARENTS[step] for step in parents}


def test_what_manifest_and_snakemake_tell_agrees(records):
    assert {run.step for run in records.runs} >= set(PARENTS) - {"draw_figure", "write_tables"}
    for run in records.runs:
        assert run.source == run.snakemake["source"]
        assert run.settings is not None
        assert run.started < run.finished


def test_it_packs(finished, tmp_path, capsys):
    config = finished.root / "config" / "config.yaml"
    output = tmp_path / "crate"
    arguments = ("crate", finished.root / "results", "--configfile", config, "--output", output)
    assert main([str(argument) for argument in arguments]) == 0
    assert capsys.readouterr().out.endswith(" runs\n")
    crate = json.loads((output / "ro-crate-metadata.json").read_text())
    graph = {entity["@id"]: entity for entity in crate["@graph"]}
    actions = [
        entity for entity in graph.values() if entity["@type"] == "CreateAction" and entity["@id"] != "#execution"
    ]
    scripts = {action["instrument"]["@id"] for action in actions}
    trained = PARENTS.keys() - {"finetune_experts"}  # by the script of train_fusion
    assert scripts >= {f"workflow/scripts/{step}.py" for step in trained}
    assert all(graph[script]["@type"] == ["File", "SoftwareSourceCode"] for script in scripts), "the source that ran"
    assert all(action["startTime"] < action["endTime"] for action in actions)
