"""`certifuse components reconstruct` and `load-complete`: the same network to the bit, mixtures, refusals."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from certifuse.base.digests import canonical_json
from certifuse.models.components.assembly import find_components, load_complete, load_network
from certifuse.models.components.files import read_header


def images(channels=1):
    return torch.rand((5, channels, 8, 8), generator=torch.Generator().manual_seed(0))


def outputs(network):
    with torch.inference_mode():
        return network.eval()(images())


def assert_same(first, second):
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_reconstructed_run_is_the_trained_network_to_the_bit(store, tmp_path, certifuse_json):
    run = store("TransformerBase")
    output = tmp_path / "whole.safetensors"
    record = certifuse_json("components", "reconstruct", run.directory, "--output", output)
    assert_same(outputs(load_complete(output)), outputs(run.network))
    assert_same(outputs(load_complete(run.complete)), outputs(run.network))
    assert record["parameters"] == sum(parameter.numel() for parameter in run.network.parameters())
    shown = {key: record[key] for key in ("experts", "fusion", "feature_dim", "classes", "warnings")}
    assert shown == {"experts": 2, "fusion": "TransformerBase", "feature_dim": 8, "classes": 3, "warnings": []}
    assert [part["part"] for part in record["parts"]] == ["expert_0", "expert_1", "fusion", "global_head"]
    assert {(part["epoch"], part["run"]) for part in record["parts"]} == {
        (7, "resnet/TransformerBase/lambda_0.5/seed_0")
    }
    about = read_header(output)["about"]
    assert (about["epoch"], about["fusion"], about["origin"]) == (7, "TransformerBase", "reconstructed")


def test_mixed_epochs_and_runs(store, tmp_path, certifuse_json):
    best, early, other = store(epoch=7), store(epoch=2, stored=True), store(seed=1, epoch=7)
    output = tmp_path / "mixed.safetensors"
    mixed = ("--experts", best.experts[0], other.experts[1], "--global-head", early.head)
    record = certifuse_json("components", "reconstruct", best.directory, *mixed, "--output", output)
    expected = load_network([best.experts[0], other.experts[1]], best.fusion, early.head)
    assert_same(outputs(load_complete(output)), outputs(expected))
    assert not torch.equal(outputs(expected).global_logits_NK, outputs(best.network).global_logits_NK)
    assert [part["epoch"] for part in record["parts"]] == [7, 7, 7, 2]
    runs, epochs = record["warnings"]
    assert "seed_0" in runs
    assert "seed_1" in runs
    assert "epochs (2, 7)" in epochs
    again = certifuse_json("components", "load-complete", output)
    assert again["warnings"] == record["warnings"]
    about = read_header(output)["about"]
    assert (about["seed"], about["epoch"], about["fusion"]) == (None, None, "concatenation")


def test_fewer_experts_average_unless_the_fusion_is_named(store, tmp_path, certifuse_json, refused):
    run = store(experts=3)
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    record = certifuse_json("components", "reconstruct", run.directory, "--num-experts", 1, "--output", one)
    assert (record["experts"], record["fusion"]) == (1, None)
    assert record["notes"][0].endswith("is left out: the network is this expert alone")
    logits = outputs(load_network([run.experts[0]], None, None).experts[0])[1]
    torch.testing.assert_close(outputs(load_complete(one)).global_logits_NK, logits.log_softmax(-1))

    record = certifuse_json("components", "reconstruct", run.directory, "--num-experts", 2, "--output", two)
    assert "averages the probabilities of these 2 experts" in record["notes"][0]
    mean = sum(outputs(expert)[1].softmax(-1) for expert in load_network(run.experts[:2], None, None).experts) / 2
    torch.testing.assert_close(outputs(load_complete(two)).global_logits_NK.exp(), mean)

    error = refused("components", "reconstruct", run.directory, "--num-experts", 2, "--fusion", run.fusion)
    assert "expects 3 experts with features of size 8, found 2 with size 8" in error
    assert "at most 3" in refused("components", "reconstruct", run.directory, "--num-experts", 4)
    all_three = certifuse_json("components", "reconstruct", run.directory, "--num-experts", 3)
    assert all_three["fusion"] == "concatenation"


def test_mismatch_names_both_shapes(store, refused):
    narrow, wide, coloured = store(width=4), store(seed=1, width=8), store(seed=2, in_channels=3)
    error = refused("components", "reconstruct", narrow.directory, "--experts", *wide.experts)
    assert f"{narrow.fusion}: expects 2 experts with features of size 8, found 2 with size 16" in error
    error = refused("components", "reconstruct", narrow.directory, "--global-head", wide.head)
    assert f"{wide.head}: expects features of size 16 and 3 classes, found 8" in error
    error = refused("components", "reconstruct", "--experts", narrow.experts[0], wide.experts[1])
    assert f"{wide.experts[1]}: expected (feature size, classes, image channels) (8, 3, 1)" in error
    assert "found (16, 3, 1)" in error
    error = refused("components", "reconstruct", "--experts", narrow.experts[0], coloured.experts[1])
    assert "(8, 3, 1)" in error
    assert "found (8, 3, 3)" in error


def test_tensor_of_another_shape_is_named(store, refused):
    run = store()
    header = {"certifuse": read_metadata(run.head)}
    save_file(load_file(run.head) | {"weight": torch.zeros(3, 9)}, run.head, header)
    assert "tensor weight: expected shape (3, 8), found (3, 9)" in refused("components", "reconstruct", run.directory)


def read_metadata(path):
    """The metadata of the same component as another program would write it, which has no digest."""
    return canonical_json(read_header(path))


def test_one_run_is_selected_below_a_directory(store, tmp_path, certifuse_json, refused):
    chosen, _, _ = store("multiplicative", seed=1), store("multiplicative", seed=2), store("concatenation", seed=1)
    stored = store("multiplicative", seed=1, epoch=3, stored=True)
    runs = tmp_path / "runs"
    selected = ("components", "reconstruct", runs, "--fusion-type", "multiplicative")
    record = certifuse_json(*selected, "--seed", 1, "--lambda", "0.50")
    assert {part["path"] for part in record["parts"]} == {str(p) for p in [*chosen.experts, chosen.fusion, chosen.head]}
    early = certifuse_json(*selected, "--seed", 1, "--epoch", 3)
    assert early["parts"][0]["path"] == str(stored.experts[0])

    error = refused(*selected)
    assert "expected one run, found 2: choose with --seed (1, 2)" in error
    assert "multiplicative/seed_1, resnet_fusions_lambda_0.5/multiplicative/seed_2" in error
    assert "--seed 9, found none: there are" in refused(*selected, "--seed", 9)
    assert "expected stored components of epoch 4, found 3" in refused(*selected, "--seed", 1, "--epoch", 4)


def test_load_complete_runs_on_zeros(store, tmp_path, certifuse, certifuse_json, refused):
    run = store()
    record = certifuse_json("components", "load-complete", tmp_path / "runs", "--fusion-type", "concatenation")
    assert record["forward"] == {"images": [1, 1, 32, 32], "global_logits": [1, 3], "expert_logits": [2, 1, 3]}
    code, out, _ = certifuse("components", "load-complete", run.complete)
    assert code == 0
    assert out.startswith("2 experts, fusion concatenation: ")
    assert "forward pass on zeros: images (1, 1, 32, 32), global logits (1, 3)" in out

    broken = load_file(run.complete)
    broken["global_head/bias"][1] = torch.nan
    save_file(broken, run.complete, {"certifuse": read_metadata(run.complete)})
    assert "expected finite global_logits_NK" in refused("components", "load-complete", run.complete)


def test_more_than_ten_experts_keep_their_order(store):
    run = store(experts=11)
    found = find_components(run.directory)
    rebuilt = load_network(found.experts, found.fusion, found.global_head)
    assert_same(outputs(rebuilt), outputs(run.network))
    assert_same(outputs(load_complete(run.complete)), outputs(run.network))


def test_refusals(store, tmp_path, refused):
    run = store()
    reconstruct = ("components", "reconstruct")
    assert "expected experts" in refused(*reconstruct)
    assert "expected a directory to choose a run from" in refused(*reconstruct, "--experts", *run.experts, "--seed", 0)
    assert "found a file" in refused(*reconstruct, run.complete)
    assert "found nothing" in refused(*reconstruct, tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    assert "expected components below" in refused(*reconstruct, tmp_path / "empty")
    assert "expected a fusion module" in refused(*reconstruct, "--experts", *run.experts, "--global-head", run.head)
    assert "expected a global head" in refused(*reconstruct, "--experts", *run.experts, "--fusion", run.fusion)
    assert "of kind expert, found fusion" in refused(*reconstruct, run.directory, "--experts", run.fusion, run.head)
    assert "expected a new file" in refused(*reconstruct, run.directory, "--output", run.complete)
    assert "of kind complete, found fusion" in refused("components", "load-complete", run.fusion)
    assert "expected no --seed" in refused("components", "load-complete", run.complete, "--seed", 0)
    run.complete.unlink()
    assert "found no file" in refused("components", "load-complete", run.directory)


def test_names_and_settings_of_another_version_are_refused(store, tmp_path, refused):
    run, other = store(), tmp_path / "other.safetensors"
    whole = read_metadata(run.experts[0])
    for old, new, expected in (
        ('"name":"resnet"', '"name":"resnett"', "found 'resnett'; did you mean 'resnet'?"),
        ('"width":4', '"breadth":4', "architecture resnet: breadth: unknown key"),
        ('"format":1', '"format":2', "expected the metadata of a component of format 1"),
    ):
        save_file(load_file(run.experts[0]), other, {"certifuse": whole.replace(old, new)})
        assert expected in refused("components", "reconstruct", "--experts", other)
    save_file(load_file(run.fusion), other, {"certifuse": read_metadata(run.fusion).replace("concatenation", "sum")})
    error = refused("components", "reconstruct", run.directory, "--fusion", other)
    assert "fusion rule: expected one of TransformerBase, averagePlusConcatenation, " in error


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_truncated_files_are_refused(keep, store, refused):
    run = store()
    run.fusion.write_bytes(run.fusion.read_bytes()[:keep])
    assert "damaged file" in refused("components", "reconstruct", run.directory)
