"""Every transform against a slow loop or a closed form, and every switch both ways."""

import math

import numpy as np
import pytest
import torch

from certifuse.base.randomness import numpy_stream, torch_stream
from certifuse.data.images import augmentation
from certifuse.data.images.augmentation import (
    AlternatingFlips,
    augment,
    crop,
    cutmix,
    cutmix_box,
    erase,
    erasing_boxes,
    flip,
    mixup,
)
from certifuse.study.settings.augmentation import AUGMENTATIONS, AugmentationSettings

FORMATS = [torch.contiguous_format, torch.channels_last]
OFF = AUGMENTATIONS["none"]
LABELS = torch.tensor([0, 1, 2, 3, 3, 1])


def random_images(count=6, height=8, width=6, memory_format=torch.contiguous_format):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, height, width, generator=generator).contiguous(memory_format=memory_format)


def augmented(seed=0, images=None, labels=LABELS, **changes):
    images = random_images() if images is None else images
    settings = OFF.model_copy(update=changes)
    return augment(images, labels, settings, 4, torch_stream(seed, "test"), numpy_stream(seed, "test"))


# ---- crop, flip, erasing -------------------------------------------------------------------------


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("padding", [1, 2, 4])
def test_crop_equals_a_loop_over_images(memory_format, padding):
    images = random_images(memory_format=memory_format)
    offsets = torch.randint(2 * padding + 1, (2, 6), generator=torch.Generator().manual_seed(1))
    offsets[:, 0], offsets[:, 1] = 0, 2 * padding
    expected = torch.zeros(6, 3, 8, 6)
    for image in range(6):
        for row in range(8):
            for column in range(6):
                source_row = row + int(offsets[0, image]) - padding
                source_column = column + int(offsets[1, image]) - padding
                if 0 <= source_row < 8 and 0 <= source_column < 6:
                    expected[image, :, row, column] = images[image, :, source_row, source_column]
    found = crop(images, offsets, padding)
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_flip_mirrors_the_chosen_images_only(memory_format):
    images = random_images(memory_format=memory_format)
    found = flip(images, torch.tensor([True, False, False, True, False, False]))
    for image in range(6):
        expected = images[image].numpy()[:, :, ::-1] if image in (0, 3) else images[image].numpy()
        assert np.array_equal(found[image].numpy(), expected)
    assert found.is_contiguous(memory_format=memory_format)


def test_alternating_flips_show_every_image_the_other_way_in_every_epoch():
    flips, indices = AlternatingFlips(3, 500, torch.device("cpu")), torch.randperm(500)[:400]
    epochs = [flips.at(epoch, indices) for epoch in range(4)]
    assert torch.equal(epochs[1], ~epochs[0])
    assert torch.equal(epochs[2], epochs[0])
    assert torch.equal(epochs[3], epochs[1])
    assert 150 < int(epochs[0].sum()) < 250  # the first side is drawn
    again = AlternatingFlips(3, 500, torch.device("cpu")).at(5, indices[:7])
    assert torch.equal(again, epochs[1][:7])  # a function of seed, epoch and image
    assert not torch.equal(AlternatingFlips(4, 500, torch.device("cpu")).at(0, indices), epochs[0])


def test_flips_that_are_given_are_the_ones_that_are_made():
    images, given = random_images(), torch.tensor([True, False, True, True, False, False])
    settings = OFF.model_copy(update={"flip": "alternating"})
    found, _ = augment(images, LABELS, settings, 4, torch_stream(0, "test"), numpy_stream(0, "test"), given)
    assert torch.equal(found, flip(images, given))


@pytest.mark.parametrize("memory_format", FORMATS)
def test_erase_zeroes_the_rectangle_of_the_chosen_images_only(memory_format):
    images = random_images(memory_format=memory_format)
    boxes = torch.tensor([[2, 5, 0, 6], [0, 1, 5, 6], [0, 8, 0, 6], [3, 4, 2, 3], [1, 2, 1, 2], [7, 8, 0, 1]]).T.float()
    chosen = torch.tensor([True, True, True, True, False, True])
    expected = images.clone()
    for image, (top, bottom, left, right) in enumerate(boxes.T.int().tolist()):
        if chosen[image]:
            expected[image, :, top:bottom, left:right] = 0
    found = erase(images, boxes, chosen)
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (8, 6), (1, 1)])
def test_erased_rectangles_lie_inside_the_image_with_the_papers_areas(height, width):
    uniform = torch.rand(4, 4000, generator=torch.Generator().manual_seed(0))
    uniform[:, 0], uniform[:, 1] = 0, 1 - 2**-24
    top, bottom, left, right = erasing_boxes(uniform, height, width)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (bottom <= height).all()
    assert (right <= width).all()
    rows, columns = bottom - top, right - left
    assert (rows >= 1).all()
    assert (columns >= 1).all()
    assert torch.equal(top, top.round())
    if height == 32:
        area = rows * columns / 1024
        assert area.mean() == pytest.approx(0.21, abs=0.01)  # uniform on [0.02, 0.4]; rounding and clipping are small
        assert area.min() > 0.01
        assert area.max() < 0.45
        assert torch.log(rows / columns).mean().abs() < 0.05


# ---- mixing --------------------------------------------------------------------------------------


def one_hot(labels=LABELS):
    return torch.eye(4)[labels]


def test_mixup_by_value():
    images = random_images()
    mixed, targets = mixup(images, one_hot(), 0.75)
    for image in range(6):
        torch.testing.assert_close(mixed[image], 0.75 * images[image] + 0.25 * images[image - 1])
        torch.testing.assert_close(targets[image], 0.75 * one_hot()[image] + 0.25 * one_hot()[image - 1])
    assert torch.equal(targets[4], one_hot()[4])  # partner of the same class


@pytest.mark.parametrize("memory_format", FORMATS)
def test_cutmix_pastes_the_box_and_gives_the_partner_its_area(memory_format):
    images = random_images(memory_format=memory_format)
    before = images.clone()
    mixed, targets = cutmix(images, one_hot(), (1, 4, 2, 6))
    for image in range(6):
        expected = before[image].clone()
        expected[:, 1:4, 2:6] = before[image - 1][:, 1:4, 2:6]
        assert torch.equal(mixed[image], expected)
        torch.testing.assert_close(targets[image], 0.75 * one_hot()[image] + 0.25 * one_hot()[image - 1])  # 12 of 48
    assert torch.equal(images, before)
    assert mixed.is_contiguous(memory_format=memory_format)


def test_the_cutmix_box_has_the_area_of_its_weight_unless_the_border_cuts_it():
    generator = numpy_stream(0, "box")
    for weight, side in ((0.3, 26), (0.75, 16), (1.0, 0)):
        assert side == int(32 * math.sqrt(1 - weight))
        boxes = [cutmix_box(weight, 32, 32, generator) for _ in range(300)]
        assert all(0 <= top <= bottom <= 32 and 0 <= left <= right <= 32 for top, bottom, left, right in boxes)
        areas = [(bottom - top) * (right - left) for top, bottom, left, right in boxes]
        assert max(areas) == side**2


@pytest.mark.parametrize(
    ("alphas", "expected"),
    [
        ({"mixup_alpha": 1.0}, {"mixup": 1.0}),
        ({"cutmix_alpha": 1.0}, {"cutmix": 1.0}),
        ({"mixup_alpha": 0.2, "cutmix_alpha": 1.0}, {"mixup": 0.5, "cutmix": 0.5}),
    ],
)
@pytest.mark.parametrize("probability", [0.0, 0.4, 1.0])
def test_batches_are_mixed_as_often_as_asked(alphas, expected, probability, monkeypatch):
    calls = []
    for name in ("mixup", "cutmix"):
        monkeypatch.setattr(
            augmentation, name, lambda images, targets, _, name=name: calls.append(name) or (images, targets)
        )
    settings = OFF.model_copy(update={**alphas, "mix_probability": probability})
    images, host, device = torch.zeros(1, 1, 4, 4), numpy_stream(0, "many"), torch_stream(0, "many")
    for _ in range(600):
        augment(images, torch.zeros(1, dtype=torch.int64), settings, 2, device, host)
    for name in ("mixup", "cutmix"):
        assert calls.count(name) / 600 == pytest.approx(probability * expected.get(name, 0), abs=0.08)


# ---- the whole -----------------------------------------------------------------------------------


def test_with_everything_off_the_batch_is_unchanged():
    images, targets = augmented()
    assert torch.equal(images, random_images())
    assert torch.equal(targets, one_hot())
    assert targets.dtype == torch.float32


SWITCHES = [
    {"crop_padding": 2},
    {"flip": True},
    {"mixup_alpha": 1.0, "mix_probability": 1.0},
    {"cutmix_alpha": 1.0, "mix_probability": 1.0},
    {"erasing_probability": 1.0},
]


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: next(iter(switch)))
@pytest.mark.parametrize("memory_format", FORMATS)
def test_each_switch_changes_the_batch_and_nothing_of_the_input(switch, memory_format):
    images = random_images(memory_format=memory_format)
    before = images.clone()
    found, targets = augmented(images=images, **switch)
    assert not torch.equal(found, before)
    assert found.shape == before.shape
    assert found.dtype == before.dtype
    assert found.is_contiguous(memory_format=memory_format)
    assert torch.equal(images, before)
    assert torch.equal(targets, one_hot()) != ("mix_probability" in switch)
    torch.testing.assert_close(targets.sum(1), torch.ones(6))


def test_the_target_mass_of_the_partner_is_the_part_of_the_image_that_it_covers():
    images = torch.arange(6.0)[:, None, None, None].expand(6, 1, 8, 8)
    for seed in range(20):
        found, targets = augmented(
            seed, images, torch.tensor([0, 1, 0, 1, 0, 1]), cutmix_alpha=1.0, mix_probability=1.0
        )
        covered = (found != images).float().mean((1, 2, 3))
        torch.testing.assert_close(targets.min(1).values, torch.minimum(covered, 1 - covered) * 0)  # unused classes
        torch.testing.assert_close(targets[torch.arange(6), torch.tensor([1, 0, 1, 0, 1, 0])], covered)


def test_erasing_takes_the_asked_part_of_the_images():
    images = torch.ones(2000, 1, 8, 8)
    found, _ = augmented(images=images, labels=torch.zeros(2000, dtype=torch.int64), erasing_probability=0.25)
    assert float((found == 0).any(3).any(2).float().mean()) == pytest.approx(0.25, abs=0.04)


def test_flipping_takes_half_of_the_images():
    images = torch.arange(8.0).expand(2000, 1, 8, 8)
    found, _ = augmented(images=images, labels=torch.zeros(2000, dtype=torch.int64), flip=True)
    assert float((found[:, 0, 0, 0] == 7).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_every_crop_offset_occurs():
    images = torch.arange(64.0).view(1, 1, 8, 8).expand(500, 1, 8, 8) + 1
    found, _ = augmented(images=images, labels=torch.zeros(500, dtype=torch.int64), crop_padding=1)
    assert found[:, 0, 4, 4].unique().tolist() == [28, 29, 30, 36, 37, 38, 44, 45, 46]


def test_equal_streams_give_equal_bits_and_others_do_not():
    strong = {"crop_padding": 2, "flip": True, "cutmix_alpha": 1.0, "mix_probability": 1.0, "erasing_probability": 0.5}
    (first, first_targets), (again, again_targets), (other, _) = (augmented(seed, **strong) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert torch.equal(first_targets, again_targets)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_recipe_keeps_shape_and_dtype_under_deterministic_algorithms(name, dtype):
    settings = AUGMENTATIONS[name]
    assert isinstance(settings, AugmentationSettings)
    torch.use_deterministic_algorithms(True)
    try:
        for seed in range(4):
            streams = torch_stream(seed, "test"), numpy_stream(seed, "test")
            images, targets = augment(random_images(height=32, width=32).to(dtype), LABELS, settings, 4, *streams)
            assert (images.shape, images.dtype) == ((6, 3, 32, 32), dtype)
            torch.testing.assert_close(targets.sum(1), torch.ones(6))
    finally:
        torch.use_deterministic_algorithms(False)
