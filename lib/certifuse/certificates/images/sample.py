"""The sample of a certificate: drawn again from the images, and looked through for copies."""

from functools import lru_cache
from pathlib import Path

import torch

from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.certificates.expectations import expect
from certifuse.data.images.duplicates import duplicates
from certifuse.data.images.image_set import ImageSet, load_image_set
from certifuse.data.images.splits import Splits, load_splits, make_splits

NEAR_COPY = 0.995
"""Pixel correlation from which an image is a copy of another for a certificate, whatever the study calls one.

Above that of different images: of 1,258 handwritten digits of 8 x 8 pixels no two correlate so.
"""

STATISTICS_TOLERANCE = 1e-12
"""Relative, of mean and standard deviation of the pool: sums in double precision, whose order differs."""


def check_sample(images: Path, splits: Path) -> None:
    """UserError unless the sets are those that their seed and settings draw, and hold no copies of each other.

    A second for CIFAR-100, and 15 more where near copies are looked for; once for all certificates of a study.
    """
    _check_sample(images, splits, digest_file(images), digest_file(splits))


@lru_cache(maxsize=1)
def _check_sample(images: Path, splits: Path, *_of_content: str) -> None:
    image_set, recorded = load_image_set(images), load_splits(splits)
    check_drawn(image_set, recorded, str(splits))
    check_copies(image_set, recorded, str(images))


def check_drawn(image_set: ImageSet, recorded: Splits, where: str) -> None:
    """UserError that names the first set, or statistic of the pool, that is another one when it is drawn again."""
    again = make_splits(image_set, recorded.settings)
    seed = recorded.settings.seed
    for name, digest in again.digests.items():
        if recorded.digests[name] != digest:
            raise UserError(
                f"{where}: expected in {name!r} the images that seed {seed} draws, found others: "
                "images were picked or exchanged, or copies put among them; run split_images, and all after it, again"
            )
    for name in ("mean", "std"):
        drawn, found = dict(enumerate(getattr(again, name))), dict(enumerate(getattr(recorded, name)))
        expect(f"{where}: {name} of the pool", found, drawn, STATISTICS_TOLERANCE)


def check_copies(image_set: ImageSet, splits: Splits, where: str) -> None:
    """UserError where images that were not dropped are copies of each other, or nearly.

    The sets were drawn from what the study calls no copies, so that a look is needed only if it is laxer than here.
    """
    if splits.settings.duplicate_correlation <= NEAR_COPY:
        return
    named = splits.named()
    kept = torch.cat([named[name] for name in ("pool", "fusion", "validation", "certificate")])
    number = len(duplicates(image_set.train_images[kept], NEAR_COPY))
    if number:
        raise UserError(
            f"{where}: expected no images that are nearly copies of others (pixel correlation {NEAR_COPY}), found "
            f"{number}: a certificate needs independent ones; set splits.duplicate_correlation to {NEAR_COPY} or lower"
        )
