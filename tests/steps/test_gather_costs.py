"""What every training of a study took, gathered out of their manifests."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from certifuse.base.errors import UserError
from certifuse.base.rows import read_rows
from certifuse.steps.gather import gather
from certifuse.study import paths
from certifuse.study.cells import Cell, Family
from certifuse.study.steps.gathering import Gather, GatheringFiles

CELL, FAMILY = Cell("resnet", "concatenation", "1.0", 0), Family("resnet", 0)


@pytest.fixture(scope="module")
def trained(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that has trained an expert, fine-tuned both and trained a cell; nothing is scored."""
    results = tmp_path_factory.mktemp("trained")
    tiny.train(results, files={"manifest": manifest_of(results, "joint")})
    tiny.train(results, fusion=None, files={"manifest": manifest_of(results, "finetuned")})
    manifest_of(results, "expert_1").parent.mkdir(parents=True)
    shutil.copyfile(tiny.experts[1].parent / "cell" / paths.MANIFEST_FILE, manifest_of(results, "expert_1"))
    return results


def manifest_of(results: Path, training: str) -> Path:
    if training == "joint":
        return results / paths.CELL_DIR.format(**CELL.names()) / paths.MANIFEST_FILE
    if training == "finetuned":
        return results / paths.FINETUNED_MANIFEST.format(**FAMILY.names())
    return results / paths.MEMBER_MANIFEST.format(member=training, **FAMILY.names())


def costs(results: Path, *trainings: str) -> dict[str, dict[str, str]]:
    step = Gather(cells=(CELL,), trainings=tuple((*FAMILY, name) for name in trainings))
    gather(step, GatheringFiles(results_dir=results, source="test"))
    return {row["training"]: row for row in read_rows(results / paths.COSTS)}


def test_every_training_has_the_cost_that_its_manifest_says(trained: Path) -> None:
    rows = costs(trained, "expert_1", "finetuned")
    assert list(rows) == ["expert_1", "finetuned", "joint"]
    for training, row in rows.items():
        manifest = json.loads(manifest_of(trained, training).read_text(encoding="utf-8"))
        assert float(row["training_wall_s"]) == manifest["training_wall_s"] > 0
        assert int(row["parameters"]) == manifest["parameters"]
        assert float(row["images_per_second"]) == manifest["best_row"]["images_per_second"]
        assert (row["device"], row["best_epoch"]) == ("cpu", str(manifest["epoch"]))
    assert [(row["fusion"], row["lambda"]) for row in rows.values()] == [("baseline", "")] * 2 + [
        ("concatenation", "1.0")
    ]
    recorded = json.loads((trained / "metrics" / "gather_manifest.json").read_text(encoding="utf-8"))
    assert len(recorded["inputs_sha256"]) == 3


def test_a_training_that_is_not_asked_for_or_not_there_has_no_row(trained: Path) -> None:
    assert list(costs(trained)) == ["joint"]
    assert list(costs(trained, "expert_0", "expert_1")) == ["expert_1", "joint"]


def test_a_manifest_that_was_changed_is_refused(trained: Path, tmp_path: Path) -> None:
    results = tmp_path / "changed"
    shutil.copytree(trained, results)
    manifest = manifest_of(results, "expert_1")
    content = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(content | {"training_wall_s": 1.0}), encoding="utf-8")
    assert "joint" in costs(results)
    with pytest.raises(UserError, match=r"expert_1_manifest\.json"):
        costs(results, "expert_1")
