"""Sizes, shares, disjointness and the file of the index sets."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from certifuse.base.errors import UserError
from certifuse.data.images.image_set import ImageSet, save_image_set
from certifuse.data.images.splits import Splits, check_disjoint, load_splits, make_splits, save_splits
from certifuse.steps.split_images import split_images
from certifuse.study.settings.data import SplitSettings
from certifuse.study.steps.data import SplitImages

CIFAR100_LABELS = torch.arange(50_000) % 100


def divided(labels, num_classes, choice):
    """The splits of images that all differ: each shows its number, in four digits to the base 256."""
    pixels = (torch.arange(len(labels))[:, None] // 256 ** torch.arange(4) % 256).to(torch.uint8).view(-1, 1, 2, 2)
    return make_splits(ImageSet(pixels, labels, pixels[:1], labels[:1], num_classes, "numbers"), choice)


def counts(splits_set, labels, num_classes=100):
    return labels[splits_set].bincount(minlength=num_classes)


def test_cifar100_has_the_documented_sizes_and_equal_classes():
    splits = divided(CIFAR100_LABELS, 100, SplitSettings())
    sizes = {name: len(indices) for name, indices in splits.named().items()}
    experts = {f"expert_{index}": 22_000 for index in range(4)}
    assert sizes == experts | {"pool": 40_000, "fusion": 9_000, "validation": 1_000, "certificate": 0, "dropped": 0}
    for name, indices in splits.named().items():
        assert (counts(indices, CIFAR100_LABELS) == len(indices) // 100).all(), name
    shared = set.intersection(*(set(expert.tolist()) for expert in splits.experts))
    assert len(shared) == 16_000
    unique = [set(expert.tolist()) - shared for expert in splits.experts]
    assert [len(part) for part in unique] == [6_000] * 4
    assert len(set.union(*unique)) == 24_000
    assert shared.union(*unique) == set(splits.pool.tolist())
    assert torch.equal(splits.all_for_training(), torch.cat([splits.pool, splits.fusion]).sort().values)


def test_disjoint_experts_of_cifar100_are_quarters_of_the_pool():
    splits = divided(CIFAR100_LABELS, 100, SplitSettings(scheme="disjoint"))
    assert torch.equal(torch.cat(splits.experts).sort().values, splits.pool)
    for expert in splits.experts:
        assert (counts(expert, CIFAR100_LABELS) == 100).all()


def test_experts_by_class_own_25_random_classes_each():
    splits = divided(CIFAR100_LABELS, 100, SplitSettings(scheme="by_class"))
    assert torch.equal(torch.cat(splits.experts).sort().values, splits.pool)
    owned = [set(CIFAR100_LABELS[expert].tolist()) for expert in splits.experts]
    assert [len(classes) for classes in owned] == [25] * 4
    assert set.union(*owned) == set(range(100))
    assert owned[0] != set(range(25))


def test_classes_are_dealt_as_evenly_as_possible():
    labels = torch.arange(400) % 10
    splits = divided(labels, 10, SplitSettings(scheme="by_class", experts=4))
    assert sorted(len(labels[expert].unique()) for expert in splits.experts) == [2, 2, 3, 3]


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.integers(0, 2), min_size=120, max_size=240),
    scheme=st.sampled_from(["iid", "disjoint", "by_class"]),
    experts=st.integers(1, 3),
    certificate=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 2**40),
)
def test_every_scheme_divides_every_image_once(labels, scheme, experts, certificate, seed):
    labels = torch.tensor(labels + [0, 1, 2] * 15)
    choice = SplitSettings(
        scheme=scheme,
        experts=experts,
        certificate_fraction=certificate,
        seed=seed,
        fusion_fraction=0.4,
        validation_fraction=0.2,
        shared_fraction=0.1,
        unique_fraction=0.3,
    )
    splits = divided(labels, 3, choice)
    uses = torch.zeros(len(labels), dtype=torch.int64)
    for part in (splits.pool, splits.fusion, splits.validation, splits.certificate):
        uses[part] += 1
        assert part.dtype == torch.int64
        assert (part.diff() > 0).all()
    assert (uses == 1).all()
    holdout = round(0.4 * len(labels))
    assert len(splits.pool) == len(labels) - holdout
    assert (len(splits.certificate), len(splits.validation)) == (round(certificate * holdout), round(0.2 * holdout))
    owners = torch.zeros(len(labels), dtype=torch.int64)
    for expert in splits.experts:
        owners[expert] += 1
    outside = torch.ones(len(labels), dtype=torch.bool)
    outside[splits.pool] = False
    assert (owners[outside] == 0).all()
    if scheme == "iid":
        shared = (owners == experts).sum() if experts > 1 else None
        assert shared is None or shared == round(0.1 * len(splits.pool))
        assert set(owners.tolist()) <= {0, 1, experts}
    else:
        assert (owners[splits.pool] == 1).all()


def test_each_set_is_stratified_within_one_image_of_its_share():
    labels = torch.tensor([0] * 307 + [1] * 89 + [2] * 41)
    splits = divided(labels, 3, SplitSettings())
    holdout = torch.cat([splits.fusion, splits.validation])
    for part, whole in [(splits.pool, torch.arange(437)), (splits.validation, holdout)]:
        share = counts(whole, labels, 3) * len(part) / len(whole)
        assert ((counts(part, labels, 3) - share).abs() < 1).all()


def test_the_certificate_draw_looks_at_no_label():
    choice = SplitSettings(certificate_fraction=0.5)
    shuffled = CIFAR100_LABELS[torch.from_numpy(np.random.default_rng(0).permutation(50_000))]
    first, second = (divided(labels, 100, choice) for labels in (CIFAR100_LABELS, shuffled))
    assert torch.equal(first.certificate, second.certificate)
    assert not torch.equal(first.validation, second.validation)
    drawn = counts(first.certificate, CIFAR100_LABELS).double()
    assert len(first.certificate) == 5_000
    assert 5 < drawn.std() < 9  # simple random: sqrt(50 x 0.9) = 6.7; stratified: 0


def test_the_other_sets_are_the_same_whatever_the_certificate_images_show():
    choice = SplitSettings(certificate_fraction=0.5)
    labels = torch.arange(2_000) % 4
    splits = divided(labels, 4, choice)
    relabelled = labels.clone()
    relabelled[splits.certificate] = 0
    assert divided(relabelled, 4, choice).digests == splits.digests


def test_equal_seeds_give_equal_bits_and_another_seed_does_not():
    labels = torch.arange(1_000) % 10
    choice = {"certificate_fraction": 0.2}
    first, again = (divided(labels, 10, SplitSettings(**choice)).digests for _ in range(2))
    other = divided(labels, 10, SplitSettings(seed=43, **choice)).digests
    assert first == again
    assert all(first[name] != other[name] for name in first if name != "dropped")


# ---- refusals ------------------------------------------------------------------------------------


def test_an_overlap_names_the_two_sets_the_count_and_the_first_index():
    sets = {"a": torch.tensor([1, 2, 3, 9]), "b": torch.tensor([4, 5]), "c": torch.tensor([9, 0, 3])}
    with pytest.raises(UserError, match=r"'a' and 'c' to be disjoint, found 2 common indices \(first: 3\)"):
        check_disjoint(sets)
    check_disjoint({"a": sets["a"], "b": sets["b"]})


@pytest.mark.parametrize("name", ["pool", "fusion", "validation", "certificate", "dropped"])
def test_overlapping_splits_cannot_be_built(name):
    sets = {"pool": [0, 1], "fusion": [2, 3], "validation": [4], "certificate": [5], "dropped": [6]}
    other = "fusion" if name == "pool" else "pool"
    sets[name] = sorted([*sets[name], sets[other][0]])
    with pytest.raises(UserError, match="1 common indices"):
        Splits(
            (),
            **{key: torch.tensor(value) for key, value in sets.items()},
            mean=(0.5,),
            std=(0.2,),
            settings=SplitSettings(experts=1),
        )


@pytest.mark.parametrize(
    ("indices", "said"),
    [
        (torch.tensor([-3, 0]), "from 0 in 'pool'"),
        (torch.tensor([1, 0]), "from 0 in 'pool'"),
        (torch.tensor([0, 0, 1]), "from 0 in 'pool'"),
        (torch.tensor([0, 1], dtype=torch.int32), "from 0 in 'pool'"),
        (torch.tensor([[0, 1]]), "from 0 in 'pool'"),
        (torch.tensor([1]), "'expert_0' to be images of the pool, found 1 others"),
    ],
)
def test_no_image_has_two_names_and_experts_see_the_pool_alone(indices, said):
    empty = torch.tensor([], dtype=torch.int64)
    others = dict.fromkeys(("fusion", "validation", "certificate", "dropped"), empty)
    with pytest.raises(UserError, match=said) as raised:
        Splits((torch.tensor([0]),), pool=indices, **others, mean=(0.5,), std=(0.2,), settings=SplitSettings(experts=1))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("labels", "choice", "complaint"),
    [
        ([0, 1] * 50 + [2], {}, "found none of class 2, which has 1 training images"),
        ([0, 1] * 50, {"fusion_fraction": 0.01}, "fusion set.*splits.fusion_fraction"),
        (
            [0, 1, 2] * 4,
            {"fusion_fraction": 0.3},
            "validation set is empty; add images, or change splits.validation_fraction",
        ),
        ([0, 1, 2] * 40, {"certificate_fraction": 0.01}, "certificate set is empty.*splits.certificate_fraction"),
        ([0, 1, 2] * 40, {"scheme": "by_class"}, "at most 3 experts, one per class, found 4; lower splits.experts"),
        ([0, 1, 2] * 40, {"scheme": "disjoint", "experts": 200}, r"expert_\d+ set is empty.*splits.experts"),
    ],
)
def test_too_few_images_or_classes_say_what_to_change(labels, choice, complaint):
    with pytest.raises(UserError, match=complaint) as caught:
        divided(torch.tensor(labels), 3 if 2 in labels else 2, SplitSettings(**choice))
    assert "\n" not in str(caught.value)


def test_a_class_that_lost_its_images_as_copies_says_so():
    """Of class 2 all ten images are equal, of the others none."""
    labels = torch.tensor([0, 1] * 50 + [2] * 10)
    pixels = torch.arange(110, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()
    pixels[100:] = 255
    images = ImageSet(pixels, labels, pixels[:1], labels[:1], 3, "copies")
    with pytest.raises(
        UserError, match="class 2, which has 10 training images, 9 of them left out as copies"
    ) as caught:
        make_splits(images, SplitSettings())
    assert "splits.duplicate_correlation" in str(caught.value)


# ---- files ---------------------------------------------------------------------------------------


@pytest.fixture
def splits():
    return divided(torch.arange(300) % 3, 3, SplitSettings(experts=2, certificate_fraction=0.2))


def test_round_trip(splits, tmp_path):
    save_splits(splits, tmp_path / "splits.safetensors")
    loaded = load_splits(tmp_path / "splits.safetensors")
    assert loaded.digests == splits.digests
    assert (len(loaded.experts), loaded.mean, loaded.std) == (2, splits.mean, splits.std)
    assert torch.equal(loaded.fusion, splits.fusion)


def test_an_exchanged_index_is_noticed(splits, tmp_path):
    path = tmp_path / "splits.safetensors"
    save_splits(splits, path)
    with safe_open(path, "pt") as stream:
        metadata = stream.metadata()
    tensors = load_file(path)
    tensors["fusion"][0] = splits.certificate[0]
    save_file(tensors, path, metadata)
    with pytest.raises(UserError, match="'fusion' differ from their digest"):
        load_splits(path)


def test_the_recipe_writes_the_splits_and_a_summary_of_them(tmp_path):
    image_set = noise_with_copies()
    save_image_set(image_set, tmp_path / "images.safetensors")
    choice = SplitSettings(experts=2)
    files = SplitImages.Files(
        source="test",
        images=tmp_path / "images.safetensors",
        output=tmp_path / "splits.safetensors",
        summary=tmp_path / "splits.json",
    )
    split_images(SplitImages(splits=choice), files)
    splits, summary = load_splits(tmp_path / "splits.safetensors"), json.loads((tmp_path / "splits.json").read_text())
    assert splits.digests == make_splits(image_set, choice).digests
    assert {name: entry["sha256"] for name, entry in summary["sets"].items()} == splits.digests
    assert summary["sets"]["pool"]["images"] == 238
    assert summary["sets"]["dropped"]["images"] == 2
    assert summary["sets"]["dropped"]["images_per_class"] == [1, 1, 0]
    assert summary["sets"]["certificate"]["images_per_class"] == [0, 0, 0]
    assert summary["image_set"] == {"name": "noise", "sha256": image_set.digest, "training_images": 300}
    assert summary["pool_statistics"] == {"mean": list(splits.mean), "std": list(splits.std)}
    assert SplitSettings(**summary["settings"]) == choice


# ---- pool statistics and copies ------------------------------------------------------------------


def noise_with_copies():
    """300 images of noise in three classes; 120 and 205 repeat 7 and 50, and 31 is a brighter 30."""
    pixels = torch.from_numpy(np.random.default_rng(1).integers(0, 200, (300, 2, 3, 4), dtype=np.uint8))
    pixels[120], pixels[205], pixels[31] = pixels[7], pixels[50], pixels[30] + 40
    labels = torch.arange(300) % 3
    return ImageSet(pixels, labels, pixels[:6], labels[:6], 3, "noise")


def test_statistics_are_those_of_the_pool_and_no_other_image_moves_them():
    choice, image_set = SplitSettings(certificate_fraction=0.3), noise_with_copies()
    splits = make_splits(image_set, choice)
    pool = image_set.train_images[splits.pool].numpy() / 255
    np.testing.assert_allclose(splits.mean, pool.mean((0, 2, 3)), rtol=1e-13)
    np.testing.assert_allclose(splits.std, pool.std((0, 2, 3)), rtol=1e-13)
    for name, same in [("certificate", True), ("fusion", True), ("validation", True), ("pool", False)]:
        pixels = image_set.train_images.clone()
        pixels[getattr(splits, name)[0], 0, 0, 0] ^= 128
        changed = make_splits(dataclasses.replace(image_set, train_images=pixels), choice)
        assert changed.digests == splits.digests
        assert ((changed.mean, changed.std) == (splits.mean, splits.std)) == same, name


def test_copies_are_dropped_before_any_draw_and_fractions_are_of_the_rest():
    image_set = noise_with_copies()
    assert make_splits(image_set, SplitSettings()).dropped.tolist() == [120, 205]
    splits = make_splits(image_set, SplitSettings(certificate_fraction=0.3, duplicate_correlation=0.98))
    assert splits.dropped.tolist() == [31, 120, 205]
    used = torch.cat([splits.pool, splits.fusion, splits.validation, splits.certificate])
    assert sorted(used.tolist()) == sorted(set(range(300)) - {31, 120, 205})
    assert (len(splits.pool), len(splits.certificate)) == (297 - round(0.2 * 297), round(0.3 * round(0.2 * 297)))

    kept = used.sort().values
    without = dataclasses.replace(
        image_set, train_images=image_set.train_images[kept], train_labels=image_set.train_labels[kept]
    )
    alone = make_splits(without, SplitSettings(certificate_fraction=0.3))
    for name, indices in alone.named().items():
        assert name == "dropped" or torch.equal(kept[indices], splits.named()[name]), name
    assert (alone.mean, alone.std) == (splits.mean, splits.std)


def test_a_constant_channel_of_the_pool_is_refused():
    image_set = noise_with_copies()
    image_set.train_images[:, 1] = 9
    with pytest.raises(UserError, match="channels that vary in the pool, found channel 1 constant; drop it"):
        make_splits(image_set, SplitSettings())
