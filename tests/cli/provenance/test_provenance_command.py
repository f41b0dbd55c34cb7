"""`certifuse provenance` on a study whose every digest is known."""

import hashlib
import json
import os
import shutil

import pytest
from recorded_results import CELL, CELL_DIR, CELL_LOG, COMMIT, COMPLETE, DIFFERENCE, EXPERTS, FIGURE, IMAGES, SUMMARY
from snakemake.persistence.file import FilePersistence

from certifuse.cli.main import main
from certifuse.cli.provenance.snakemake_records import _place


@pytest.fixture
def told(certifuse, results):
    """What the program tells of a file, as JSON."""

    def tell(path, *options):
        code, out, err = certifuse("provenance", results.root / path, "--json", *options)
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
    assert made_by[EXPERTS[1]] == "experts/resnet/seed_0/expert_1_manifest.json"
    assert made_by[IMAGES] == "data/manifest.json"
    assert made_by[SUMMARY] == "metrics/gather_manifest.json"
    assert record["not_recorded"] == [
        f"the digest of {FIGURE} when it was written",
        "git commit: draw_figure",
        "package versions: draw_figure",
    ]


def test_a_run_is_told_as_it_was_recorded(told, results):
    run = told(COMPLETE)["runs"][0]
    settings = results.step_of("train_fusion", CELL).text
    assert run["settings"] == json.loads(settings)
    assert run["settings_digest"] == hashlib.sha256(settings.encode()).hexdigest()[:16]
    assert run["environment"]["git"] == {"commit": COMMIT, "dirty": True, "diff_sha256": DIFFERENCE}
    assert run["names"] == CELL
    assert (run["wall_s"], run["peak_memory_bytes"], run["runtime"]["deterministic"]) == (2.5, 3 * 2**20, True)
    assert {"path": EXPERTS[1], "sha256": results.digest(EXPERTS[1])} in run["inputs"]
    figure = told(FIGURE)["runs"][0]
    assert figure["settings"] == results.step_of("draw_figure", {"figure": "lambda_ablation"}).plain()
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
            CELL_LOG,
            "train_fusion",
            "its manifest",
        ),
        ("logs/train_fusion/resnet_concatenation_lambda_0.5_seed_0.log", "train_fusion", "the name of its job"),
        ("logs/draw_figure/lambda_ablation.log", "draw_figure", "Snakemake"),
        (EXPERTS[1], "pretrain_expert", "its manifest"),
        ("metrics/gather_manifest.json", "gather", "its manifest"),
    ],
)
def test_every_kind_of_file_has_its_run(told, path, step, witness):
    record = told(path)
    assert (record["runs"][0]["step"], record["according_to"]) == (step, witness)


def test_the_text_names_commit_data_and_settings(certifuse, results):
    code, out, _ = certifuse("provenance", results.root / FIGURE)
    assert code == 0
    assert "c0ffeec0ffee + diff d1d1d1d1d1d1" in out
    assert f"{IMAGES}: sha256 {results.digest(IMAGES)[:12]} (read by 5)" in out
    assert "7 of 7 are at hand as they were read" in out
    assert "runtime: deterministic true; device cpu; precision fp32" in out
    assert "torch 2.13.0" in out
    assert "processors\n  model name AMD EPYC, cpu family 26, model 2\n" in out


# ---- what has changed since ----------------------------------------------------------------------


def test_a_changed_input_is_named_with_all_its_readers(certifuse, told, results):
    before = results.digest(IMAGES)
    results.write(IMAGES, "others")
    changed = {key: read for key, read in readings(told(FIGURE)).items() if read["state"] != "same"}
    assert {path for _, path in changed} == {IMAGES}
    assert len(changed) == 5
    assert {read["recorded_sha256"] for read in changed.values()} == {before}
    assert {read["sha256"] for read in changed.values()} == {hashlib.sha256(b"others").hexdigest()}
    assert not any(read["made_again"] for read in changed.values())
    _, out, _ = certifuse("provenance", results.root / FIGURE)
    text = " ".join(out.split())
    assert f"{IMAGES}: CHANGED since it was read ({before[:12]} was read" in text
    assert "and 4 other runs" in text
    assert "6 of 7 are at hand" in text


def test_an_input_that_was_made_again_is_not_what_was_read(told, results):
    results.write(EXPERTS[1], "trained again")
    written = {"expert_1_best.safetensors": results.digest(EXPERTS[1])}
    results.edit("experts/resnet/seed_0/expert_1_manifest.json", outputs_sha256=written)
    read = readings(told(COMPLETE))[f"{CELL_DIR}/manifest.json", EXPERTS[1]]
    assert (read["state"], read["made_again"]) == ("changed", True)
    read = readings(told(COMPLETE, "--no-check"))[f"{CELL_DIR}/manifest.json", EXPERTS[1]]
    assert (read["state"], read["made_again"], read["sha256"]) == ("not checked", True, None)


def test_an_absent_input_is_named(told, results):
    (results.root / EXPERTS[1]).unlink()
    assert [key for key, read in readings(told(COMPLETE)).items() if read["state"] == "absent"] == [
        (f"{CELL_DIR}/manifest.json", EXPERTS[1])
    ]


def test_a_changed_file_says_so_itself(certifuse, told, results):
    before = results.digest(COMPLETE)
    results.write(COMPLETE, "edited")
    record = told(COMPLETE)
    assert (record["state"], record["recorded_sha256"]) == ("changed", before)
    _, out, _ = certifuse("provenance", results.root / COMPLETE)
    assert f"CHANGED since it was written (then {before[:12]})" in out
    os.utime(results.root / FIGURE, (1, 1))
    assert told(FIGURE)["touched"]


def test_two_records_that_disagree_are_named(told, results):
    results.snakemake(SUMMARY, "draw_figure", {"figure": "lambda_ablation"}, (), "gather")
    [line] = [line for line in told(SUMMARY)["not_recorded"] if line.startswith("which source ran in gather")]
    assert "its manifest says" in line


# ---- results that were moved, files that nothing made --------------------------------------------


def test_moved_results_answer_for_what_their_manifests_say(certifuse, refused, results, tmp_path):
    moved = shutil.move(results.root, tmp_path / "elsewhere" / "kept")
    code, out, _ = certifuse("provenance", moved / SUMMARY, "--json")
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


def test_a_manifest_that_was_edited_is_as_absent(refused, results):
    manifest = results.root / "metrics" / "gather_manifest.json"
    manifest.write_text(manifest.read_text().replace(COMMIT, "0" * 40))
    assert "nothing here made this file" in refused("provenance", results.root / SUMMARY)


def test_manifests_of_an_older_version_are_told_in_one_line(refused, told, results):
    results.outdate(f"{CELL_DIR}/manifest.json")
    line = f"{CELL_DIR}/manifest.json: made by an older version: rerun the steps, or use that version"
    assert refused("provenance", results.root / COMPLETE).endswith(f"no manifest names it; {line}\n")
    record = told(SUMMARY)
    assert [run["step"] for run in record["runs"]] == ["gather", "evaluate_fusion", "split_images", "prepare_images"]
    assert record["not_recorded"] == [f"what made {COMPLETE}, which evaluate_fusion read", line]
    assert told(EXPERTS[0])["not_recorded"] == [], "nothing behind it is of an older version"
    results.outdate("splits/manifest.json")
    assert f"{CELL_DIR}/manifest.json and others: made by an older version" in refused(
        "provenance", results.root / COMPLETE
    )


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
