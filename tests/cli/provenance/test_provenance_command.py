"""`certifuse provenance` on a study whose every digest is known."""

import hashlib
import json
import os
import shutil

import pytest
from snakemake.persistence.file import FilePersistence

from certifuse.cli.main import main
from certifuse.cli.provenance.snakemake_records import _place

CELL_DIR = "fusion_checkpoints/resnet_fusions_lambda_0.5/concatenation/seed_0"
COMPLETE = f"{CELL_DIR}/complete_fusion_best.safetensors"
SUMMARY, FIGURE = "metrics/fusion_performance_summary.csv", "figures/lambda_ablation.png"
EXPERT = "experts/resnet/seed_0/expert_1_best.safetensors"


@pytest.fixture
def told(call, results):
    """What the program tells of a file, as JSON."""

    def tell(path, *options):
        code, out, err = call("provenance", results.root / path, "--json", *options)
        assert (code, err) == (0, "")
        return json.loads(out)

    return tell


def readings(record):
    return {(read["read_by"], read["path"]): read for read in record["readings"]}


def test_a_figure_goes_back_to_the_images(told, results):
    record = told(FIGURE)
    assert [run["step"] for run in record["runs"]] == [
        *("draw_figure", "gather", "evaluate_fusion", "train_fusion"),
        *("pretrain_expert", "pretrain_expert", "split_images", "prepare_images"),
    ]
    assert (record["sha256"], record["recorded_sha256"]) == (results.digest(FIGURE), None)
    assert (record["state"], record["touched"], record["according_to"]) == ("not recorded", False, "Snakemake")
    assert {read["state"] for read in record["readings"]} == {"same"}
    # 1 of the figure, 1 of the table, 3 of the scores, 4 of the cell, 2 of each expert, 1 of the splits
    assert len(record["readings"]) == 1 + 1 + 3 + 4 + 2 * 2 + 1
    made_by = {read["path"]: read["made_by"] for read in record["readings"]}
    assert made_by[EXPERT] == "experts/resnet/seed_0/expert_1_manifest.json"
    assert made_by["data/images.safetensors"] == "data/manifest.json"
    assert made_by[SUMMARY] == "metrics/gather_manifest.json"
    assert record["not_recorded"] == [
        f"the digest of {FIGURE} when it was written",
        "git commit: draw_figure",
        "package versions: draw_figure",
    ]


def test_a_run_is_told_as_it_was_recorded(told, results):
    run = told(COMPLETE)["runs"][0]
    settings = results.study.for_fusion("resnet", "concatenation")
    assert run["settings"] == json.loads(settings)
    assert run["settings_digest"] == hashlib.sha256(settings.encode()).hexdigest()[:16]
    assert run["environment"]["git"] == {"commit": "c0ffee" * 6 + "c0ff", "dirty": True, "diff_sha256": "d1" * 32}
    assert run["names"] == {"architecture": "resnet", "fusion": "concatenation", "lambda": "0.5", "seed": 0}
    assert (run["wall_s"], run["peak_memory_bytes"], run["runtime"]["deterministic"]) == (2.5, 3 * 2**20, True)
    assert run["inputs"][3] == {"path": EXPERT, "sha256": results.digest(EXPERT)}
    figure = told(FIGURE)["runs"][0]
    assert figure["settings"] == json.loads(results.study.for_figure("lambda_ablation"))
    assert figure["started"] == "2026-11-21T02:13:16.250+00:00"


@pytest.mark.parametrize(
    ("path", "step", "witness"),
    [
        (COMPLETE, "train_fusion", "its manifest"),
        (f"{CELL_DIR}/manifest.json", "train_fusion", "its manifest"),
        (
            f"{CELL_DIR}/epochs/epoch_10/complete_fusion_best.safetensors",
            "train_fusion",
            "the directory that it lies in",
        ),
        (
            "csv_logs/resnet_fusions/resnet_concatenation_lambda_0.5_seed_0_training_log.csv",
            "train_fusion",
            "its manifest",
        ),
        ("logs/train_fusion/resnet_concatenation_lambda_0.5_seed_0.log", "train_fusion", "the name of its job"),
        ("logs/draw_figure/lambda_ablation.log", "draw_figure", "Snakemake"),
        (EXPERT, "pretrain_expert", "its manifest"),
        ("metrics/gather_manifest.json", "gather", "its manifest"),
    ],
)
def test_every_kind_of_file_has_its_run(told, path, step, witness):
    record = told(path)
    assert (record["runs"][0]["step"], record["according_to"]) == (step, witness)


def test_the_text_names_commit_data_and_settings(call, results):
    code, out, _ = call("provenance", results.root / FIGURE)
    assert code == 0
    assert "c0ffeec0ffee + diff d1d1d1d1d1d1" in out
    assert f"data/images.safetensors: sha256 {results.digest('data/images.safetensors')[:12]} (read by 5)" in out
    assert "7 of 7 are at hand as they were read" in out
    assert "runtime: device cpu; deterministic true; precision fp32" in out
    assert "torch 2.13.0" in out
    assert "processors\n  model name AMD EPYC, cpu family 26, model 2\n" in out


def test_a_certificate_beside_a_manifest_is_an_output_and_alone_a_run(told, results):
    stored = {"path": "../../splits/splits.safetensors", "sha256": results.digest("splits/splits.safetensors")}
    parts = {"identity": {"d": 4, "seed": 1}, "claim": {}, "bitstream_sha256": "b" * 64, "deep": [{"splits": stored}]}
    command = ["certify_sublora.py", "--output", "results/sublora/d_4"]
    record = {"source_fingerprint": "f" * 16, "environment": {"command": command}, "settings": {}, **parts}
    path = "sublora/d_4/certificate.json"
    results.write(path, json.dumps(record))
    run = told(path)["runs"][0]
    assert (run["step"], run["record"], run["names"]) == ("certify_sublora", path, {"d": 4, "seed": 1})
    assert run["inputs"] == [{"path": "splits/splits.safetensors", "sha256": stored["sha256"]}]
    assert run["outputs"] == [{"path": "sublora/d_4/model.cfqv", "sha256": "b" * 64}]
    results.step("certify_sublora", "{}", [], [], "sublora/d_4/other_manifest.json", {"seed": 1})
    manifest = json.loads((results.root / "sublora/d_4/other_manifest.json").read_text())
    digests = {"certificate.json": results.digest(path)}
    results.write("sublora/d_4/manifest.json", json.dumps(manifest | {"outputs_sha256": digests}))
    (results.root / "sublora/d_4/other_manifest.json").unlink()
    assert told(path)["made_by"] == "sublora/d_4/manifest.json"
    assert told(path)["state"] == "same"


# ---- what has changed since ----------------------------------------------------------------------


def test_a_changed_input_is_named_with_all_its_readers(call, told, results):
    before = results.digest("data/images.safetensors")
    results.write("data/images.safetensors", "others")
    changed = {key: read for key, read in readings(told(FIGURE)).items() if read["state"] != "same"}
    assert {path for _, path in changed} == {"data/images.safetensors"}
    assert len(changed) == 5
    assert {read["recorded_sha256"] for read in changed.values()} == {before}
    assert {read["sha256"] for read in changed.values()} == {hashlib.sha256(b"others").hexdigest()}
    assert not any(read["made_again"] for read in changed.values())
    _, out, _ = call("provenance", results.root / FIGURE)
    text = " ".join(out.split())
    assert f"data/images.safetensors: CHANGED since it was read ({before[:12]} was read" in text
    assert "and 4 other runs" in text
    assert "6 of 7 are at hand" in text


def test_an_input_that_was_made_again_is_not_what_was_read(told, results):
    results.write(EXPERT, "trained again")
    manifest = results.root / "experts/resnet/seed_0/expert_1_manifest.json"
    record = json.loads(manifest.read_text()) | {"component_sha256": results.digest(EXPERT)}
    manifest.write_text(json.dumps(record))
    read = readings(told(COMPLETE))[f"{CELL_DIR}/manifest.json", EXPERT]
    assert (read["state"], read["made_again"]) == ("changed", True)
    read = readings(told(COMPLETE, "--no-check"))[f"{CELL_DIR}/manifest.json", EXPERT]
    assert (read["state"], read["made_again"], read["sha256"]) == ("not checked", True, None)


def test_an_absent_input_is_named(told, results):
    (results.root / EXPERT).unlink()
    assert [key for key, read in readings(told(COMPLETE)).items() if read["state"] == "absent"] == [
        (f"{CELL_DIR}/manifest.json", EXPERT)
    ]


def test_a_changed_file_says_so_itself(call, told, results):
    before = results.digest(COMPLETE)
    results.write(COMPLETE, "edited")
    record = told(COMPLETE)
    assert (record["state"], record["recorded_sha256"]) == ("changed", before)
    _, out, _ = call("provenance", results.root / COMPLETE)
    assert f"CHANGED since it was written (then {before[:12]})" in out
    os.utime(results.root / FIGURE, (1, 1))
    assert told(FIGURE)["touched"]


def test_two_records_that_disagree_are_named(told, results):
    settings = results.study.for_gathering()
    results.snakemake(SUMMARY, "draw_figure", [], "gather", settings)
    [line] = [line for line in told(SUMMARY)["not_recorded"] if line.startswith("which source ran in gather")]
    assert "its manifest says" in line


# ---- results that were moved, files that nothing made --------------------------------------------


def test_moved_results_answer_for_what_their_manifests_say(call, refused, results, tmp_path):
    moved = shutil.move(results.root, tmp_path / "elsewhere" / "kept")
    code, out, _ = call("provenance", moved / SUMMARY, "--json")
    record = json.loads(out)
    assert (code, record["state"]) == (0, "same")
    assert len(record["runs"]) == 7
    assert {read["state"] for read in record["readings"]} == {"same"}
    # Snakemake's records stand above, and are of paths that are no more.
    assert "nothing here made this file: no manifest names it\n" in refused("provenance", moved / FIGURE)
    shutil.rmtree(tmp_path / ".snakemake")
    assert "there is no .snakemake above it to ask" in refused("provenance", moved / FIGURE)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"rule": 1}', '{"rule": "draw_figure", "input": "x"}'])
def test_a_record_of_another_format_is_as_absent(refused, results, damage):
    [record] = (results.workdir / ".snakemake" / "metadata").iterdir()
    record.write_text(damage)
    assert "nothing here made this file" in refused("provenance", results.root / FIGURE)


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "3", '{"source_fingerprint": 1}', '{"source_fingerprint": 1, "step": 2}']
)
def test_a_damaged_manifest_is_as_absent(refused, told, results, damage):
    results.write("metrics/gather_manifest.json", damage)
    assert told(f"{CELL_DIR}/manifest.json")["runs"][0]["step"] == "train_fusion"
    assert "nothing here made this file" in refused("provenance", results.root / SUMMARY)


def test_what_nothing_made_is_one_line(refused, results, tmp_path):
    results.write("figures/notes.txt")
    assert "nothing here made this file" in refused("provenance", results.root / "figures" / "notes.txt")
    assert "expected a file below a study's results" in refused("provenance", results.config)
    assert "found a directory" in refused("provenance", results.root / "figures")
    assert "found nothing" in refused("provenance", results.root / "figures" / "absent.png")
    assert "found one outside" in refused("provenance", results.config, "--results", results.root)


@pytest.mark.parametrize("path", ["results/a.png", "results/" + "long/" * 60 + "a.csv", "résultats/ö.csv"])
def test_records_lie_where_snakemake_puts_them(path, tmp_path):
    class Bare(FilePersistence):
        def __init__(self):
            self._max_len = None

    assert str(_place(tmp_path, path)) == Bare()._record_path(str(tmp_path), path)


@pytest.mark.parametrize("command", ["provenance", "crate"])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"\n  certifuse {command} results" in capsys.readouterr().out
