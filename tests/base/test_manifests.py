"""What steps leave in their manifests: the digests of what they read and wrote, and the source that ran."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

import certifuse
from certifuse.base.digests import digest_bytes, digest_file
from certifuse.base.environment import git_state
from certifuse.base.errors import UserError
from certifuse.base.manifest import (
    FORMAT,
    HOST,
    StepRecord,
    check_as_written,
    check_written_by,
    label,
    path_from,
    read_manifest,
    shared_manifest,
    write_manifest,
)
from certifuse.cli.provenance.manifests import read_run
from certifuse.steps.evaluate_baselines import evaluate_baselines
from certifuse.steps.evaluate_fusion import evaluate_fusion
from certifuse.steps.split_images import split_images
from certifuse.study import paths
from certifuse.study.cells import Cell, Family
from certifuse.study.settings.data import SplitSettings
from certifuse.study.settings.evaluation import EvaluationSettings, ExecutionSettings
from certifuse.study.steps.data import SplitImages
from certifuse.study.steps.gathering import Gather
from certifuse.study.steps.training import EvaluateBaselines, EvaluateFusion

ROOT = Path(certifuse.__file__).parents[2]
EXECUTION = ExecutionSettings(threads=1, device="cpu", precision="fp32", channels_last="on", compile="off")
STEP = SplitImages(splits=SplitSettings())
CELL = Cell("resnet", "concatenation", "1.0", 0)
UNIFORM = {
    *("format", "step", "identity", "settings", "source_fingerprint", "data_sha256", "inputs_sha256", "outputs_sha256"),
    *("environment", "runtime", "started", "finished", "wall_s", "peak_memory_bytes", "manifest_sha256"),
}


class Job:
    """A step, as far as a manifest knows one."""

    rule = "some_step"

    def plain(self):
        return {"batch_size": 7}

    def identity(self):
        return {"seed": 3}


def test_inputs_are_as_they_were_at_the_start_and_paths_are_from_the_manifest(tmp_path):
    for name in ("a/read.csv", "b/written.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("before")
    cell = Cell("resnet", "concatenation", "1.0", 3)
    step = EvaluateFusion(cell=cell, evaluation=EvaluationSettings(), execution=EXECUTION)
    record = StepRecord(step, "0123456789abcdef", [tmp_path / "a" / "read.csv"])
    (tmp_path / "a" / "read.csv").write_text("after")
    record.write(tmp_path / "b" / "manifest.json", [tmp_path / "b" / "written.csv"])
    found = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert set(found) == UNIFORM
    assert found["inputs_sha256"] == {"../a/read.csv": digest_bytes(b"before")}
    assert found["outputs_sha256"] == {"written.csv": digest_bytes(b"before")}
    assert (found["step"], found["identity"], found["runtime"]) == ("evaluate_fusion", cell.names(), HOST)
    assert (found["settings"], found["source_fingerprint"]) == (step.plain(), "0123456789abcdef")
    assert found["environment"]["git"] == git_state()
    seconds = datetime.fromisoformat(found["finished"]) - datetime.fromisoformat(found["started"])
    assert 0 <= found["wall_s"] - seconds.total_seconds() + 0.002 < 0.5
    assert found["peak_memory_bytes"] > 10 * 2**20


def test_the_data_of_the_study_are_handed_on_from_manifest_to_manifest(tmp_path):
    """Also where two sets of data met; not from a manifest that is damaged, of other files, or of another content."""
    for name in ("images", "others"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "table.csv").write_text(name)
        made = StepRecord(STEP, "", [])
        outputs = [tmp_path / name / "table.csv"]
        made.write(tmp_path / name / "manifest.json", outputs, data={"images": [f"digest of {name}"]})

    def behind(*inputs):
        path = tmp_path / "next" / "manifest.json"
        StepRecord(STEP, "", [tmp_path / name for name in inputs]).write(path, [])
        return json.loads(path.read_text())["data_sha256"]

    assert behind("images/table.csv") == {"images": ["digest of images"]}
    assert behind("images/manifest.json") == {"images": ["digest of images"]}
    assert behind("images/table.csv", "others/table.csv") == {"images": ["digest of images", "digest of others"]}
    (tmp_path / "images" / "unknown.csv").touch()
    assert behind("images/unknown.csv") == {}
    (tmp_path / "images" / "table.csv").write_text("changed since")
    assert behind("images/table.csv") == {}
    (tmp_path / "others" / "manifest.json").write_text("{")
    assert behind("others/table.csv") == behind("others/manifest.json") == {}


def test_a_step_adds_what_it_found_and_what_its_device_took(tmp_path):
    record = StepRecord(Job(), "source", [])
    runtime = {"device": "cuda", "precision": "bf16"}
    more = {"runtime": runtime, "peak_memory_bytes": 5, "data": {"images": ["b", "a"]}}
    record.write(tmp_path / "manifest.json", [], **more, found={"epoch": 4, "format": "its own, which does not count"})
    found = read_manifest(tmp_path / "manifest.json")
    assert (found["runtime"], found["peak_memory_bytes"], found["epoch"]) == (runtime, 5, 4)
    assert found["data_sha256"] == {"images": ["a", "b"]}
    assert found["format"] == FORMAT


def test_manifests_that_are_absent_damaged_or_old_are_one_line(tmp_path):
    path = tmp_path / "manifest.json"
    with pytest.raises(UserError, match=r"manifest\.json: expected .*found none"):
        read_manifest(path)
    write_manifest(path, {"format": FORMAT, "epoch": 4})
    assert read_manifest(path) == {"format": FORMAT, "epoch": 4}
    whole = path.read_text()
    for damaged in (whole[:-3], whole.replace("4", "5"), "[]", "null", "{}", '{"manifest_sha256": "0"}'):
        path.write_text(damaged)
        with pytest.raises(UserError, match="found none or a damaged one: delete it and run the step that writes it"):
            read_manifest(path)
    for old, said in (({"epoch": 4}, "that of an older version"), ({"format": 1}, "1")):
        write_manifest(path, old)
        with pytest.raises(UserError, match=f"expected a manifest of format {FORMAT}, found {said}: run the step that"):
            read_manifest(path)


def test_a_file_that_differs_from_what_was_written_is_told_by_its_manifest(tmp_path):
    """By the one that is named, or by any beside it; a file that no manifest lists is not judged."""
    table, manifest = tmp_path / "logs" / "table.csv", tmp_path / "run" / "manifest.json"
    for path in (table, manifest):
        path.parent.mkdir()
    table.write_text("written")
    record = StepRecord(Job(), "source", [])
    record.write(manifest, [table])
    record.write(table.with_name("some_manifest.json"), [table])
    check_written_by(table, manifest)
    check_as_written(table)
    table.write_text("changed")
    for check in (lambda: check_written_by(table, manifest), lambda: check_as_written(table)):
        with pytest.raises(UserError, match=r"table\.csv: its bytes differ from their digest in .*manifest\.json"):
            check()
    (tmp_path / "logs" / "other.csv").touch()
    check_as_written(tmp_path / "logs" / "other.csv")
    check_written_by(tmp_path / "logs" / "other.csv", manifest)


def test_a_label_is_the_values_that_tell_a_job_from_others():
    assert label(CELL.names()) == "resnet-concatenation-1.0-0"
    assert label({"architecture": "resnet", "fusion": "baseline", "lambda": "", "seed": 0}) == "resnet-baseline-0"
    assert label({"ngram": "unigram", "levels": None}) == "unigram"


def test_jobs_that_share_a_directory_have_manifests_of_their_own():
    figures = [Path("figures") / f"{name}.png" for name in ("pareto_frontier_d20", "pareto_frontier_d40", "diversity")]
    names = [shared_manifest(path).name for path in figures]
    assert names == [f"{path.stem}_manifest.json" for path in figures]


def test_a_step_of_the_workflow_records_the_source_that_its_rule_names(tmp_path):
    script = ROOT / "workflow" / "scripts" / "gather.py"
    settings = Gather(cells=(Cell("resnet", "concatenation", "1.0", 0),), trainings=()).text
    options = ["--settings", settings, "--source", "0123456789abcdef", "--results-dir", tmp_path]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lib")}
    subprocess.run([sys.executable, script, *options], check=True, env=environment, capture_output=True)
    run = read_run(tmp_path, "metrics/gather_manifest.json")
    assert (run.step, run.source) == ("gather", "0123456789abcdef")
    assert {file.path for file in run.outputs} == {
        *(paths.SUMMARY, paths.LOGS, paths.CALIBRATION, paths.PER_CLASS, paths.MISSING, paths.COSTS)
    }
    assert {file.path: file.sha256 for file in run.outputs} == {
        path.relative_to(tmp_path).as_posix(): digest_file(path) for path in tmp_path.rglob("*.csv")
    }


def test_a_training_lists_all_that_it_read_and_wrote(tiny, tmp_path):
    """Also an expert's: the same keys as any other step, and what it found."""
    trained = tiny.train(tmp_path)
    experts = [(path, path.parent / "cell" / "manifest.json") for path in tiny.experts]
    found = {"parameters", "epochs_run", "epoch", "best_row", "training_wall_s", "resumed_after_epochs"}
    for manifest, read, more in (
        (trained.files.manifest, (tiny.images, tiny.splits, *tiny.experts), {"initial_components"}),
        (experts[0][1], (tiny.images, tiny.splits), {"training_images"}),
    ):
        content = json.loads(manifest.read_text())
        assert set(content) == UNIFORM | found | more
        assert content["inputs_sha256"] == {path_from(manifest.parent, path): digest_file(path) for path in read}
        assert content["data_sha256"] == {"images": [digest_file(tiny.images)], "splits": [digest_file(tiny.splits)]}
        for name, digest in content["outputs_sha256"].items():
            assert digest_file(manifest.parent / name) == digest
    assert set(json.loads(experts[0][1].read_text())["outputs_sha256"]) == {
        *("../expert_0_best.safetensors", "../log.csv")
    }


def test_scores_name_the_networks_that_they_are_of(tiny, tmp_path):
    trained = tiny.train(tmp_path / "results")
    shared = {"images": tiny.images, "splits": tiny.splits, "source": "0123456789abcdef"}
    how = {"evaluation": EvaluationSettings(), "execution": EXECUTION}
    evaluate_fusion(
        EvaluateFusion(cell=trained.cell, **how),
        EvaluateFusion.Files(components=trained.directory, output=tmp_path / "cell", **shared),
    )
    evaluate_baselines(
        EvaluateBaselines(cell=Family("resnet", 0), **how),
        EvaluateBaselines.Files(experts=tiny.experts, output=tmp_path / "baselines", **shared),
    )
    scored, compared = (read_run(tmp_path, f"{name}/manifest.json") for name in ("cell", "baselines"))
    parts = [path for path in trained.directory.rglob("*.safetensors") if "epochs" not in path.parts]
    parts.remove(trained.directory / paths.COMPLETE_FILE)
    expected = {digest_file(path) for path in (tiny.images, tiny.splits, *parts)}
    assert {file.sha256 for file in scored.inputs} == expected
    assert len(parts) == 4
    assert {file.sha256 for file in compared.inputs} == {
        digest_file(path) for path in (tiny.images, tiny.splits, *tiny.experts)
    }
    for run in (scored, compared):
        written = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / run.record).parent.iterdir()}
        assert {file.path for file in run.outputs} == written - {run.record}
        assert all(digest_file(tmp_path / file.path) == file.sha256 for file in run.outputs)
        assert run.runtime["deterministic"] is True
        assert run.job.startswith(f"{run.step}/resnet")


def test_splits_name_their_images(tiny, tmp_path):
    step = SplitImages(splits=SplitSettings(experts=2, shared_fraction=0.2, unique_fraction=0.4))
    written = {"output": tmp_path / "splits.safetensors", "summary": tmp_path / "splits.json"}
    split_images(step, SplitImages.Files(images=tiny.images, source="0123456789abcdef", **written))
    run = read_run(tmp_path, "manifest.json")
    assert [file.sha256 for file in run.inputs] == [digest_file(tiny.images)]
    assert {file.path for file in run.outputs} == {"splits.safetensors", "splits.json"}
