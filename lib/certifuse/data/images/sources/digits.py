"""The digits inside scikit-learn."""

import numpy as np
import torch

from certifuse.base.errors import UserError
from certifuse.base.randomness import numpy_stream
from certifuse.data.images.image_set import ImageSet, check_image_set
from certifuse.data.images.splits import stratified_draw
from certifuse.study.settings.data import DigitsData

SETTINGS = DigitsData


def load(settings: DigitsData) -> ImageSet:
    """scikit-learn's digits: 1,797 grey images of 8 x 8 pixels, values 0..16 scaled to 0..255."""
    try:
        from sklearn import datasets
    except ImportError as error:
        raise UserError("data.source: digits needs scikit-learn; pip install scikit-learn") from error
    digits = datasets.load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    labels = digits.target.astype(np.int64)
    size = round(settings.test_fraction * len(labels))
    stream = numpy_stream(settings.seed, "digits", "test")
    test, train = stratified_draw(np.arange(len(labels)), labels, size, stream)
    images_N1HW, labels_N = torch.from_numpy(images)[:, None], torch.from_numpy(labels)
    names = tuple(str(name) for name in digits.target_names)
    image_set = ImageSet(images_N1HW[train], labels_N[train], images_N1HW[test], labels_N[test], 10, "digits", names)
    check_image_set(image_set, f"digits with data.test_fraction {settings.test_fraction:g}")
    return image_set
