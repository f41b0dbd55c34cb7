"""The image file, channel statistics and normalisation, by value."""

import dataclasses

import numpy as np
import pytest
import torch

from certifuse.base.errors import UserError
from certifuse.data.images.image_set import (
    ImageSet,
    channel_statistics,
    check_image_set,
    load_image_set,
    normalise,
    save_image_set,
)


def random_images(*shape):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


@pytest.fixture
def image_set():
    labels = torch.tensor([0, 1, 2, 0, 1])
    return ImageSet(random_images(5, 3, 4, 6), labels, random_images(2, 3, 4, 6), labels[:2], 3, "toy", ("a", "b", "ç"))


def test_round_trip_to_the_bit(image_set, tmp_path):
    save_image_set(image_set, tmp_path / "images.safetensors")
    loaded = load_image_set(tmp_path / "images.safetensors")
    for field in dataclasses.fields(ImageSet):
        stored, original = getattr(loaded, field.name), getattr(image_set, field.name)
        assert torch.equal(stored, original) if isinstance(original, torch.Tensor) else stored == original
    assert loaded.digest == image_set.digest


def test_statistics_equal_numpy_on_the_scaled_images():
    images = random_images(7, 3, 5, 4)
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, (images.numpy() / 255).mean((0, 2, 3)), rtol=1e-14)
    np.testing.assert_allclose(std, (images.numpy() / 255).std((0, 2, 3)), rtol=1e-14)
    assert channel_statistics(images.flip(0)) == (mean, std)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_normalised_training_images_have_mean_0_and_deviation_1(memory_format):
    images = random_images(6, 3, 8, 8).contiguous(memory_format=memory_format)
    before = images.clone()
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in channel_statistics(images))
    normal = normalise(images, mean, std, torch.float64)
    torch.testing.assert_close(normal, (images.double() / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    torch.testing.assert_close(normal.mean((0, 2, 3)), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(normal.std((0, 2, 3), correction=0), torch.ones(3, dtype=torch.float64))
    assert normal.is_contiguous(memory_format=memory_format)
    assert torch.equal(images, before)
    low = normalise(images, mean, std, torch.bfloat16)
    assert torch.equal(low, normalise(images, mean, std).to(torch.bfloat16))  # rounded once, from float32


def test_the_digest_sees_every_part(image_set):
    digests = {image_set.digest}
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        changed = getattr(image_set, name).clone()
        changed.view(-1)[0] ^= 1
        digests.add(dataclasses.replace(image_set, **{name: changed}).digest)
    digests.add(dataclasses.replace(image_set, num_classes=4).digest)
    assert len(digests) == 6


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"train_images": torch.zeros(5, 3, 4, 6)},
            r"train_images: expected non-empty uint8 .*found float32 \(5, 3, 4",
        ),
        ({"train_images": torch.zeros(5, 4, 6, dtype=torch.uint8)}, r"train_images: .*found uint8 \(5, 4, 6\)"),
        ({"test_images": torch.zeros(0, 3, 4, 6, dtype=torch.uint8)}, r"test_images: .*found uint8 \(0, 3, 4, 6\)"),
        ({"train_labels": torch.zeros(5, dtype=torch.int32)}, r"train_labels: expected int64 \(5,\).*found int32"),
        ({"train_labels": torch.zeros(4, dtype=torch.int64)}, r"train_labels: .*found int64 \(4,\)"),
        ({"train_labels": torch.tensor([0, 1, 3, 0, 1])}, r"train_labels: expected classes 0\.\.2, found 0\.\.3"),
        ({"test_labels": torch.tensor([0, -1])}, r"test_labels: expected classes 0\.\.2, found -1\.\.0"),
        ({"test_images": random_images(2, 1, 4, 6)}, r"test_images: expected \(C, H, W\) \(3, 4, 6\).*\(1, 4, 6\)"),
        ({"class_names": ("a", "b")}, r"class_names: expected 3 or none, found 2"),
    ],
)
def test_an_ill_formed_set_is_refused_also_from_a_file(image_set, changes, complaint, tmp_path):
    bad = dataclasses.replace(image_set, **changes)
    with pytest.raises(UserError, match=f"^here: {complaint}"):
        check_image_set(bad, "here")
    save_image_set(bad, tmp_path / "bad.safetensors")
    with pytest.raises(UserError, match=complaint):
        load_image_set(tmp_path / "bad.safetensors")
