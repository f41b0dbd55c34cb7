"""`certifuse components list`: rows by value, damage, other files."""

import json

import torch
from safetensors.torch import save_file

from certifuse.models.components.assembly import expert_spec
from certifuse.models.components.files import save_component


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_rows_by_value(store, certifuse_json):
    run = store("multiplicativeAddition", seed=3, epoch=7)
    listing = certifuse_json("components", "list", run.directory)
    modules = run.network.component_modules()
    rows = {row.pop("path"): row for row in listing["components"]}
    common = {"architecture": "resnet", "fusion": "multiplicativeAddition", "feature_dim": 8, "classes": 3}
    common |= {"epoch": 7, "lambda": "0.5", "seed": 3, "origin": "jointly trained"}
    expected = {
        "complete_fusion_best.safetensors": {"kind": "complete", "parameters": parameters(run.network)},
        "fusion/resnet_multiplicativeAddition_lambda_0.5_fusion_best.safetensors": {
            "kind": "fusion",
            "parameters": parameters(modules["fusion"]),
            "classes": None,
        },
        "global/resnet_multiplicativeAddition_lambda_0.5_global_head_best.safetensors": {
            "kind": "global_head",
            "parameters": parameters(modules["global_head"]),
        },
    }
    for index in range(2):
        name = f"experts/resnet_expert_{index}_lambda_0.5_best.safetensors"
        expected[name] = {"kind": "expert", "parameters": parameters(modules[f"expert_{index}"])}
    assert rows == {path: common | own for path, own in expected.items()}
    assert (listing["damaged"], listing["other_files"]) == ([], 0)


def test_expert_trained_alone(tmp_path, certifuse_json):
    spec = expert_spec({"name": "densenet", "growth": 4}, num_classes=6, in_channels=3)
    tensors = {"head.weight": torch.zeros(6, 11), "norm.running_mean": torch.zeros(50)}
    save_component(tmp_path / "one.safetensors", spec, tensors, member="single", seed=4, epoch=9, origin="pre-trained")
    (row,) = certifuse_json("components", "list", tmp_path)["components"]
    assert row == {
        **{"path": "one.safetensors", "kind": "expert", "architecture": "densenet", "fusion": None},
        **{"feature_dim": 11, "classes": 6, "parameters": 66, "epoch": 9, "lambda": None, "seed": 4},
        "origin": "pre-trained",
    }


def test_damaged_files_are_named_and_the_rest_is_listed(store, tmp_path, certifuse):
    run = store()
    whole = run.fusion.read_bytes()
    run.fusion.write_bytes(whole[:-1])
    (tmp_path / "runs" / "empty.safetensors").touch()
    save_file({"a": torch.zeros(1)}, tmp_path / "runs" / "foreign.safetensors", {"certifuse": "{half"})
    save_file(
        {"a": torch.zeros(1)},
        tmp_path / "runs" / "sizeless.safetensors",
        {"certifuse": json_header({"kind": "expert"})},
    )
    code, out, err = certifuse("components", "list", tmp_path / "runs", "--json")
    listing = json.loads(out)
    assert (code, err) == (1, "")
    damaged = {row["path"].split("/")[-1]: row["reason"] for row in listing["damaged"]}
    assert damaged.keys() == {run.fusion.name, "empty.safetensors", "foreign.safetensors", "sizeless.safetensors"}
    assert "damaged file" in damaged[run.fusion.name]
    assert "none of 'architecture'" in damaged["sizeless.safetensors"]
    assert len(listing["components"]) == 4

    code, out, err = certifuse("components", "list", tmp_path / "runs")
    assert (code, err) == (1, "")
    assert out.count("\ndamaged: ") == 4


def json_header(spec):
    return json.dumps({"format": 1, "spec": spec, "about": {}})


def test_table_is_aligned_and_other_files_are_counted(store, tmp_path, certifuse):
    store()
    save_file({"a": torch.zeros(1)}, tmp_path / "runs" / "images.safetensors")
    hidden = tmp_path / "runs" / ".resume" / "state.safetensors"
    hidden.parent.mkdir()
    hidden.touch()
    code, out, err = certifuse("components", "list", tmp_path / "runs")
    head, rule, *rows, total = out.splitlines()
    assert (code, err, len(rows)) == (0, "", 5)
    assert head.split() == [
        *("kind", "architecture", "fusion", "feature_dim", "classes", "parameters"),
        *("epoch", "lambda", "seed", "origin", "path"),
    ]
    starts = [position for position in range(len(rule)) if rule[position] == "-" and rule[position - 1] != "-"]
    assert all(row[start - 2 : start] == "  " for row in rows for start in starts[1:])
    assert total == f"5 components below {tmp_path / 'runs'}; 1 other .safetensors files"


def test_stored_epochs_are_shown_where_asked_for_and_where_they_are_what_is_listed(store, tmp_path, certifuse):
    store(epoch=20)
    stored = store(epoch=10, stored=True)

    def listed(*arguments):
        code, out, _ = certifuse("components", "list", *arguments)
        _, _, *rows, total = out.splitlines()
        assert code == 0
        return len(rows), sum("epochs/epoch_10/" in row for row in rows), total.split(" below ")[0]

    assert listed(tmp_path / "runs") == (5, 0, "5 components and 5 of stored epochs (--epochs shows them)")
    assert listed(tmp_path / "runs", "--epochs") == (10, 5, "10 components")
    assert listed(stored.directory) == (5, 0, "5 components")


def test_empty_and_absent_directories(tmp_path, certifuse, refused):
    assert certifuse("components", "list", tmp_path)[:2] == (
        0,
        f"0 components below {tmp_path}; 0 other .safetensors files\n",
    )
    assert "expected a directory" in refused("components", "list", tmp_path / "absent")
