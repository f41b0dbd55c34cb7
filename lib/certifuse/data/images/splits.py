"""The purpose of every training image: seeded, disjoint where they must be, checked whenever they are read.

    training images = dropped + N,    N = pool + holdout,    holdout = certificate + validation + fusion

Dropped are the copies of earlier images. What the images are normalised with, the channel mean and standard deviation,
is counted over the pool and stored beside the sets: no other image may tell a model anything before it is trained on.
CIFAR-100 with the default settings: pool 40,000 and holdout 10,000, of which 1,000 validation and 9,000 fusion;
four `iid` experts of 16,000 shared + 6,000 unique = 22,000 pool images each. The test part is no business of this
module. Shape suffixes: N images, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from certifuse.base.digests import canonical_json
from certifuse.base.errors import UserError
from certifuse.base.randomness import numpy_stream
from certifuse.base.tensors import DamagedFileError, digest_tensor, read_sealed, write_sealed
from certifuse.data.images.duplicates import duplicates
from certifuse.data.images.image_set import ImageSet, channel_statistics
from certifuse.study.settings.data import SplitSettings

KIND = "index splits and pool statistics"
MEND = "delete it and run the step that writes it"


Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Splits:
    """Ascending int64 indices into the training images: disjoint, but for the experts, which are subsets of the pool.

    `iid` experts share a part of the pool. The certificate set is empty unless asked for. `dropped` are copies of other
    images, which nobody uses. `mean` and `std` (C,) are those of the pool, with pixels in [0, 1]. `settings` say how
    all this was drawn, so that anyone who has the images can draw it again.

    Raises:
        UserError: a set is none of ascending int64 indices, overlaps another, or an expert's is no part of the pool.
    """

    experts: tuple[Tensor, ...]
    pool: Tensor
    fusion: Tensor
    validation: Tensor
    certificate: Tensor
    dropped: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    settings: SplitSettings

    def __post_init__(self) -> None:
        named = self.named()
        for name, indices in named.items():
            _check_indices(name, indices)
        check_disjoint({name: named[name] for name in ("pool", "fusion", "validation", "certificate", "dropped")})
        for index, indices in enumerate(self.experts):
            if outside := len(np.setdiff1d(indices.numpy(), self.pool.numpy(), assume_unique=True)):
                raise UserError(
                    f"splits: expected the images of 'expert_{index}' to be images of the pool, found {outside} "
                    "others; make the splits again"
                )

    def named(self) -> dict[str, Tensor]:
        """Every set by its name; experts are `expert_0`, `expert_1`, ..."""
        experts = {f"expert_{index}": indices for index, indices in enumerate(self.experts)}
        kept = {"fusion": self.fusion, "validation": self.validation, "certificate": self.certificate}
        return {**experts, "pool": self.pool, **kept, "dropped": self.dropped}

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each set by its name."""
        return {name: digest_tensor(indices) for name, indices in self.named().items()}

    def all_for_training(self) -> Tensor:
        """Pool and fusion together: all that one model may train on, without validation and certificate."""
        return torch.cat([self.pool, self.fusion]).sort().values


def _check_indices(name: str, indices: Tensor) -> None:
    """UserError unless no image has two names in a set: a negative index, or one that is there twice, is another."""
    sound = indices.dtype == torch.int64 and indices.dim() == 1
    if not (sound and bool((indices >= 0).all()) and bool((indices.diff() > 0).all())):
        raise UserError(
            f"splits: expected ascending int64 indices from 0 in {name!r}, each once, found others; "
            "make the splits again"
        )


def check_disjoint(sets: Mapping[str, Tensor]) -> None:
    """UserError that names the first two sets with a common index, how many they share and the lowest."""
    for (first, indices), (second, others) in combinations(sets.items(), 2):
        common = np.intersect1d(indices.numpy(), others.numpy())
        if len(common):
            raise UserError(
                f"splits: expected {first!r} and {second!r} to be disjoint, found {len(common)} common indices "
                f"(first: {common[0]}); make the splits again"
            )


def make_splits(image_set: ImageSet, settings: SplitSettings) -> Splits:
    """Divide the training images, but for the copies among them. Every draw has its own stream of `settings.seed`.

    Copies are dropped first: one in another set would tell a model about the certificate set before it is certified.
    They are dropped by their pixels alone, before any set exists. The certificate set comes next, as a simple random
    draw that looks at no label of the N images that are left. In the order of that draw they are exchangeable, as they
    would not be if copies were dropped from a set that is already drawn. Every other set depends on the remaining
    images only. So where the N images are i.i.d. (of a source that does not repeat itself) the certificate images are
    i.i.d. and independent of whatever is trained or selected on the other sets, as the bounds require; a stratified
    draw would not be. The other sets are stratified by class. All fractions are of the N images.

    Raises:
        UserError: a set is empty, a class has no image in the pool or in the fusion set, or a channel of the pool is
            constant.
    """
    labels = image_set.train_labels.numpy()
    dropped = duplicates(image_set.train_images, settings.duplicate_correlation)
    kept = np.setdiff1d(np.arange(len(labels)), dropped)
    holdout_size = round(settings.fusion_fraction * len(kept))
    certificate_size = round(settings.certificate_fraction * holdout_size)
    validation_size = round(settings.validation_fraction * holdout_size)

    shuffled = numpy_stream(settings.seed, "splits", "certificate").permutation(kept)
    certificate, rest = np.sort(shuffled[:certificate_size]), np.sort(shuffled[certificate_size:])
    stream = numpy_stream(settings.seed, "splits", "pool")
    pool, rest = stratified_draw(rest, labels[rest], len(kept) - holdout_size, stream)
    stream = numpy_stream(settings.seed, "splits", "validation")
    validation, fusion = stratified_draw(rest, labels[rest], validation_size, stream)
    _check_classes({"pool": pool, "fusion": fusion}, labels, dropped, image_set.num_classes)

    if settings.scheme == "by_class":
        experts = _experts_by_class(pool, labels, image_set.num_classes, settings)
    else:
        experts = _experts_by_share(pool, labels, settings)
    mean, std = _pool_statistics(image_set.train_images[pool])
    splits = Splits(
        tuple(torch.from_numpy(indices) for indices in experts),
        pool=torch.from_numpy(pool),
        fusion=torch.from_numpy(fusion),
        validation=torch.from_numpy(validation),
        certificate=torch.from_numpy(certificate),
        dropped=torch.from_numpy(dropped),
        mean=mean,
        std=std,
        settings=settings,
    )
    _check_filled(splits, settings)
    return splits


def _experts_by_share(pool: Indices, labels: Indices, settings: SplitSettings) -> list[Indices]:
    """Each expert: the shared part of the pool and a unique part; sizes by cumulative rounding, equal within one."""
    iid = settings.scheme == "iid"
    shared_fraction = settings.shared_fraction if iid else 0.0
    unique_fraction = settings.unique_fraction if iid else 1 / settings.experts
    ends = [round(len(pool) * (shared_fraction + index * unique_fraction)) for index in range(settings.experts + 1)]
    stream = numpy_stream(settings.seed, "splits", "experts")
    parts, rest = [], pool
    for size in np.diff(ends, prepend=0):
        part, rest = stratified_draw(rest, labels[rest], int(size), stream)
        parts.append(part)
    shared, *unique = parts
    check_disjoint({f"unique part of expert {i}": torch.from_numpy(part) for i, part in enumerate(unique)})
    return [np.sort(np.concatenate([shared, part])) for part in unique]


def _experts_by_class(pool: Indices, labels: Indices, num_classes: int, settings: SplitSettings) -> list[Indices]:
    """Each expert: all pool images of its own classes; the numbers of classes are equal within one."""
    if settings.experts > num_classes:
        raise UserError(
            f"splits: scheme by_class: expected at most {num_classes} experts, one per class, "
            f"found {settings.experts}; lower splits.experts"
        )
    classes = numpy_stream(settings.seed, "splits", "classes").permutation(num_classes)
    return [pool[np.isin(labels[pool], own)] for own in np.array_split(classes, settings.experts)]


def _pool_statistics(images_NCHW: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean, std = channel_statistics(images_NCHW)
    if 0 in std:
        raise UserError(
            f"splits: train_images: expected channels that vary in the pool, found channel {std.index(0)} constant; "
            "drop it"
        )
    return mean, std


def _check_classes(sets: Mapping[str, Indices], labels: Indices, dropped: Indices, num_classes: int) -> None:
    images_K = np.bincount(labels, minlength=num_classes)
    for name, indices in sets.items():
        counts_K = np.bincount(labels[indices], minlength=num_classes)
        if not counts_K.all():
            missing = int(counts_K.argmin())
            copies = int((labels[dropped] == missing).sum())
            left_out = f", {copies} of them left out as copies" if copies else ""
            remedy = "add some, or change splits.fusion_fraction"
            if copies:
                remedy += " or splits.duplicate_correlation"
            raise UserError(
                f"splits: expected every class in the {name} set, found none of class {missing}, which has "
                f"{images_K[missing]} training images{left_out}; {remedy}"
            )


def _check_filled(splits: Splits, settings: SplitSettings) -> None:
    fraction_of = {
        "validation": "validation_fraction",
        "certificate": "certificate_fraction",
        **{f"expert_{index}": "experts, shared_fraction or unique_fraction" for index in range(settings.experts)},
    }
    for name, indices in splits.named().items():
        may_be_empty = name == "dropped" or (name == "certificate" and settings.certificate_fraction == 0)
        if len(indices) == 0 and not may_be_empty:
            copies = f" ({len(splits.dropped)} images were left out as copies)" if len(splits.dropped) else ""
            raise UserError(
                f"splits: the {name} set is empty{copies}; add images, or change splits.{fraction_of[name]}"
            )


def save_splits(splits: Splits, path: Path) -> None:
    """Write one sealed safetensors file, atomically.

    Its record holds the statistics, the settings of the draw, and the SHA-256 of each set.
    """
    facts = {
        "mean": list(splits.mean),
        "std": list(splits.std),
        "settings": splits.settings.plain(),
    }
    write_sealed(path, KIND, splits.named(), facts)


def load_splits(path: Path) -> Splits:
    """Read it back. UserError when it is absent, foreign or changed, or no `Splits`."""
    sets, facts = read_sealed(path, KIND)
    if "settings" not in facts:
        raise UserError(
            f"{path}: expected {KIND} that say how they were drawn, found those of an older version: {MEND}"
        )
    try:
        settings = SplitSettings.from_json(canonical_json(facts["settings"]))
        experts = tuple(sets.pop(f"expert_{index}") for index in range(settings.experts))
        mean, std = (tuple(map(float, facts[name])) for name in ("mean", "std"))
        return Splits(experts, **sets, mean=mean, std=std, settings=settings)
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        reason = f"its record is that of no splits, {type(error).__name__}"
        raise DamagedFileError(path, KIND, reason) from None


def apportion(size: int, counts_K: Indices, generator: np.random.Generator) -> Indices:
    """Divide `size` over the classes in proportion to `counts_K`, by largest remainder (Hamilton).

    Exact in integers: the parts (K,) sum to `size`, each is within one of its exact share and none exceeds
    its class. Equal remainders are settled by `generator`, so that no class is favoured by its number.
    """
    total = int(counts_K.sum())
    if not 0 <= size <= total:
        raise ValueError(f"size must lie in 0..{total}, found {size}")
    shares_K, remainders_K = np.divmod(size * counts_K, max(total, 1))
    favoured_K = np.lexsort((generator.random(len(counts_K)), -remainders_K))
    shares_K[favoured_K[: size - int(shares_K.sum())]] += 1
    return shares_K


def stratified_draw(
    indices_N: Indices, labels_N: Indices, size: int, generator: np.random.Generator
) -> tuple[Indices, Indices]:
    """Draw `size` of `indices_N` without replacement, each class in proportion; returns (drawn, rest), sorted.

    `labels_N` are the classes of these indices, in the same order. Inside a class the draw is uniform.
    """
    shuffled_N = generator.permutation(len(indices_N))
    by_class_N = shuffled_N[np.argsort(labels_N[shuffled_N], kind="stable")]
    counts_K = np.bincount(labels_N)
    rank_N = np.arange(len(indices_N)) - np.repeat(np.cumsum(counts_K) - counts_K, counts_K)
    taken_N = rank_N < np.repeat(apportion(size, counts_K, generator), counts_K)
    return np.sort(indices_N[by_class_N[taken_N]]), np.sort(indices_N[by_class_N[~taken_N]])
