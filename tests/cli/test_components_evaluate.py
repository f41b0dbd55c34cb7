"""`certifuse components evaluate` against a loop over the images."""

import math

import pytest
import torch

from certifuse.data.images.image_set import ImageSet, save_image_set
from certifuse.data.images.splits import Splits, save_splits
from certifuse.study.settings.data import SplitSettings


@pytest.fixture
def images(tmp_path):
    generator = torch.Generator().manual_seed(0)

    def pixels(number):
        return torch.randint(256, (number, 1, 6, 6), dtype=torch.uint8, generator=generator)

    def labels(number):
        return torch.randint(3, (number,), generator=generator)

    image_set = ImageSet(pixels(40), labels(40), pixels(30), labels(30), num_classes=3, name="noise")
    save_image_set(image_set, tmp_path / "images.safetensors")
    index = torch.arange(40)
    sets = (index[:20], index[20:30], index[33:40], index[:0], index[:0])
    save_splits(
        Splits((index[:20],), *sets, mean=(MEAN,), std=(STD,), settings=SplitSettings(experts=1)),
        tmp_path / "splits.safetensors",
    )
    return image_set


MEAN, STD = 0.5, 0.29
TEST = ("--split", "test")


def brute_force(network, pixels, labels):
    """Top-1 in percent and mean NLL of each predictor, one image at a time."""
    sums = {}
    for image, label in zip(pixels, labels.tolist(), strict=True):
        normalised = (image.float() / 255 - MEAN) / STD
        with torch.inference_mode():
            output = network.eval()(normalised[None])
        experts = [logits[0].double().softmax(0) for logits in output.expert_logits_ENK]
        predictions = {f"expert_{index}": probs for index, probs in enumerate(experts)}
        predictions["probability_average"] = sum(experts) / len(experts)
        predictions["fused"] = output.global_logits_NK[0].double().softmax(0)
        for name, probs in predictions.items():
            correct, nll = sums.get(name, (0, 0.0))
            sums[name] = (correct + int(int(probs.argmax()) == label), nll - math.log(probs[label]))
    return {name: (100 * correct / len(labels), nll / len(labels)) for name, (correct, nll) in sums.items()}


def table_of(scores):
    return {row["predictor"]: (row["top1_percent"], row["nll_nats"]) for row in scores}


def assert_scores(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-4), name


def test_scores_equal_brute_force(store, images, tmp_path, certifuse, certifuse_json):
    run, files = store(), ("--images", tmp_path / "images.safetensors", "--splits", tmp_path / "splits.safetensors")
    expected = brute_force(run.network, images.test_images, images.test_labels)
    assert len({nll for _, nll in expected.values()}) == 4
    by_directory = certifuse_json("components", "evaluate", run.directory, *files, *TEST)
    by_file = certifuse_json("components", "evaluate", run.complete, *files, *TEST)
    assert_scores(table_of(by_directory["scores"]), expected)
    assert by_file["scores"] == by_directory["scores"]
    assert {row["images"] for row in by_file["scores"]} == {30}

    code, out, _ = certifuse("components", "evaluate", run.directory, *files, *TEST)
    assert code == 0
    assert "30 test images" in out
    shown = {line.split()[0]: line.split()[1:] for line in out.splitlines()[-4:]}
    assert shown == {name: [f"{top1:.2f}", f"{nll:.4f}"] for name, (top1, nll) in expected.items()}


def test_validation_images_and_experts_alone(store, images, tmp_path, certifuse_json):
    run, splits = store(), tmp_path / "splits.safetensors"
    record = certifuse_json(
        *("components", "evaluate", run.directory, "--num-experts", 1, "--images", tmp_path / "images.safetensors"),
        *("--split", "validation", "--splits", splits),
    )
    expected = brute_force(run.network, images.train_images[33:], images.train_labels[33:])
    expected = {"expert_0": expected["expert_0"], "probability_average": expected["expert_0"]}
    assert_scores(table_of(record["scores"]), expected)
    assert record["split"] == "validation"


def test_refusals(store, images, tmp_path, refused):
    run, coloured, file = store(), store(seed=1, in_channels=3), tmp_path / "images.safetensors"
    without = ("components", "evaluate", "--images", file)
    evaluate = (*without, "--splits", tmp_path / "splits.safetensors")
    assert "(3, 3)" in refused(*evaluate, coloured.directory, *TEST)
    assert "found (1, 3)" in refused(*evaluate, coloured.directory, *TEST)
    assert "index splits" in refused(*without, run.directory, "--splits", file, *TEST)
    assert str(run.head) in refused(*evaluate, run.directory, "--images", run.head, *TEST)
    assert "expected no --num-experts" in refused(*evaluate, run.complete, "--num-experts", 1, *TEST)
    assert str(tmp_path / "none") in refused(*evaluate, run.directory, "--images", tmp_path / "none", *TEST)
