"""`certifuse status` on fabricated results: every state, what is shown of it, half-written files."""

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LAMBDAS = ("0.1", "0.5", "1.0", "2.0", "5.0")
CELL = "resnet_concatenation_lambda_{}_seed_0"
COLUMNS = "epoch,val_accuracy,seconds"


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = {"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": list(LAMBDAS), "seeds": [0]}
    config = {"name": "tiny", "results_dir": "out", "data": {"source": "digits"}, "grid": [grid]}
    config |= {"splits": {"experts": 2, "unique_fraction": 0.3, "shared_fraction": 0.4}, "pretraining": {"epochs": 9}}
    config["fusion"] = {"epochs": 12}
    write(tmp_path / "config/config.yaml", yaml.safe_dump(config))
    return tmp_path / "out"


def write(path, text, age_s=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    then = time.time() - age_s
    os.utime(path, (then, then))


def cell_directory(results, lam):
    return results / f"fusion_checkpoints/resnet_fusions_lambda_{lam}/concatenation/seed_0"


def write_manifest(results, lam, epoch=7, accuracy=81.25):
    text = json.dumps({"epoch": epoch, "best_row": {"val_accuracy": accuracy}})
    write(cell_directory(results, lam) / "manifest.json", text)


def write_metrics(results, lam):
    write(results / f"metrics/cells/resnet/concatenation/lambda_{lam}/seed_0/metrics.csv", "predictor,metric,value\n")


def write_log(results, lam, text, age_s=0.0, rule="train_fusion"):
    write(results / f"logs/{rule}/{CELL.format(lam)}.log", text, age_s)


def write_csv(results, lam, *rows, age_s=0.0):
    file = results / f"csv_logs/resnet_fusions/{CELL.format(lam)}_training_log.csv"
    write(file, "\n".join([COLUMNS, *rows]), age_s)


def write_note(results, lam, pid, host=None, age_s=0.0, epochs=12):
    note = {"run": "x", "epochs": epochs, "pid": pid, "host": host or socket.gethostname(), "started_unix_s": 0.0}
    write(results / f".resume/train_fusion/{CELL.format(lam)}/running.json", json.dumps(note), age_s)


def dead_pid():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def cells_of(certifuse_json):
    return {row["lambda"]: row for row in certifuse_json("status")["tasks"] if row["group"] == "fusion"}


def test_states_by_value(results, certifuse, certifuse_json):
    write_manifest(results, "0.1")
    write_metrics(results, "0.1")
    write_note(results, "0.5", os.getpid())
    write_csv(results, "0.5", "1,50.0,10.0", "2,61.5,14.0", "3,60.25,12.0")
    write_log(results, "0.5", "12:00:00 [x] epoch 3/12: fine\n")
    write_note(results, "1.0", dead_pid())
    write_log(results, "1.0", "12:00:00 begins\nMemoryError: no room\n\n  \n")
    write(results / f".resume/train_fusion/{CELL.format('1.0')}/abc.safetensors", "state")
    write_manifest(results, "2.0")
    record = certifuse_json("status")
    cells = {row["lambda"]: row for row in record["tasks"] if row["group"] == "fusion"}

    labels = {"group": "fusion", "step": "fusion", "architecture": "resnet", "fusion": "concatenation", "seed": 0}
    nothing = {"epoch": None, "val_accuracy_percent": None, "seconds_left": None, "detail": "", "log": None}
    common = labels | nothing | {"epochs": 12}
    log = f"out/logs/train_fusion/{CELL}.log"
    best = {"epoch": 7, "val_accuracy_percent": 81.25}
    running = {"epoch": 3, "val_accuracy_percent": 60.25, "seconds_left": 9 * 12.0, "log": log.format("0.5")}
    running["detail"] = f"process {os.getpid()} on {socket.gethostname()}"
    kept = "MemoryError: no room [state kept: the next run resumes]"
    assert cells == {
        "0.1": common | best | {"lambda": "0.1", "state": "done"},
        "0.5": common | running | {"lambda": "0.5", "state": "running"},
        "1.0": common | {"lambda": "1.0", "state": "failed", "detail": kept, "log": log.format("1.0")},
        "2.0": common | best | {"lambda": "2.0", "state": "waiting", "detail": "trained, not yet evaluated"},
        "5.0": common | {"lambda": "5.0", "state": "waiting"},
    }
    assert record["totals"]["fusion"] == {"done": 1, "running": 1, "waiting": 2, "failed": 1, "total": 5}
    assert record["totals"]["experts"] == {"done": 0, "running": 0, "waiting": 3, "failed": 0, "total": 3}

    code, out, err = certifuse("status")
    lines = [line.split() for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert ["fusion", "resnet", "concatenation", "0.5", "0", "running", "3/12", "60.25", "1m48s"] in [
        x[:9] for x in lines
    ]
    assert ["fusion", "1", "1", "2", "1", "5"] in lines
    assert ["baselines", "0", "0", "1", "0", "1"] in lines
    assert kept in out


def test_experts_finetuning_and_baselines(results, certifuse, certifuse_json):
    write(
        results / "experts/resnet/seed_0/expert_0_manifest.json",
        json.dumps({"epoch": 4, "best_row": {"val_accuracy": 70}}),
    )
    write(results / "logs/pretrain_expert/resnet_seed_0_expert_1.log", "error: no images\n")
    write(results / "logs/finetune_experts/resnet_seed_0.log", "")
    write(results / "logs/evaluate_baselines/resnet_seed_0.log", "ValueError: bad\n")
    others = {row["step"]: row for row in certifuse_json("status")["tasks"] if row["group"] != "fusion"}
    assert {step: row["state"] for step, row in others.items()} == {
        **{"expert_0": "done", "expert_1": "failed", "single": "waiting"},
        **{"finetuned": "running", "baselines": "failed"},
    }
    assert (others["expert_0"]["val_accuracy_percent"], others["expert_0"]["epochs"]) == (70.0, 9)
    assert others["expert_1"]["detail"] == "error: no images"
    assert others["finetuned"]["detail"] == "starting"
    out = certifuse("status")[1]
    assert "error: no images" in out
    assert "single" not in out


def test_another_machine_and_evaluation(results, certifuse_json):
    write_note(results, "0.1", 1, host="elsewhere", age_s=7200)
    write_csv(results, "0.1", "1,50.0,10.0", age_s=60)
    write_note(results, "0.5", 1, host="elsewhere", age_s=7200)
    write_csv(results, "0.5", "1,50.0,10.0", age_s=3600)
    write_log(results, "0.5", "last words", age_s=3600)
    write_note(results, "1.0", 1, host="elsewhere", age_s=7200)
    write_csv(results, "1.0", "1,50.0,1800.0", age_s=3600)
    for lam, text in (("2.0", ""), ("5.0", "error: no such splits")):
        write_manifest(results, lam)
        write_log(results, lam, text, rule="evaluate_fusion")
    cells = cells_of(certifuse_json)
    states = {lam: (row["state"], row["detail"]) for lam, row in cells.items()}
    assert states == {
        "0.1": ("running", "process 1 on elsewhere"),
        "0.5": ("failed", "last words"),
        "1.0": ("running", "process 1 on elsewhere"),
        "2.0": ("running", "being evaluated"),
        "5.0": ("failed", "error: no such splits"),
    }


def test_half_written_files_say_nothing(results, certifuse, certifuse_json):
    write(cell_directory(results, "0.1") / "manifest.json", '{"epoch": 7, "best_')
    write_metrics(results, "0.1")
    write(results / f".resume/train_fusion/{CELL.format('0.5')}/running.json", '{"pid": ')
    write_log(results, "0.5", b"fine\n\xff\xfe broken \xc3")
    write_note(results, "1.0", os.getpid(), epochs="many")
    write_csv(results, "1.0", "1,50.0,10.0", "2,61.5")
    write_note(results, "2.0", "not a number")
    write(results / f"csv_logs/resnet_fusions/{CELL.format('2.0')}_training_log.csv", b"epoch\0,\xff")
    write(cell_directory(results, "5.0") / "manifest.json", '{"best_row": [], "epoch": null}')
    write_metrics(results, "5.0")
    cells = cells_of(certifuse_json)
    assert {lam: row["state"] for lam, row in cells.items()} == {
        **{"0.1": "waiting", "0.5": "failed", "1.0": "running", "2.0": "failed", "5.0": "done"},
    }
    assert cells["0.5"]["detail"].endswith("broken \N{REPLACEMENT CHARACTER}")
    assert (cells["1.0"]["epoch"], cells["1.0"]["epochs"], cells["1.0"]["seconds_left"]) == (1, 12, 110.0)
    assert cells["5.0"]["epoch"] is None
    assert certifuse("status")[0] == 0


def test_nothing_has_run(results, certifuse_json):
    totals = certifuse_json("status")["totals"]
    assert not results.exists()
    assert totals["fusion"]["waiting"] == 5
    assert totals["finetuned"] == {"done": 0, "running": 0, "waiting": 1, "failed": 0, "total": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("grid: [", "expected YAML"), ("- 1", "expected a mapping"), ("name: x y", "name"), (b"\xff", "expected YAML")],
)
def test_unusable_configurations(text, expected, tmp_path, certifuse):
    write(tmp_path / "config.yaml", text)
    code, out, err = certifuse("status", "--configfile", tmp_path / "config.yaml")
    assert (code, out) == (2, "")
    assert expected in err
    assert all(line.startswith("error: ") for line in err.splitlines())


def test_absent_configuration(tmp_path, refused):
    assert "expected a configuration, found none" in refused("status", "--configfile", tmp_path / "config.yaml")
