"""The superclasses of CIFAR-100 against the coarse labels that its authors ship."""

import pytest
import torch

from certifuse.base.errors import UserError
from certifuse.evaluation.images.scores import superclass_accuracy, top_k_accuracy
from certifuse.study.settings.superclasses import CIFAR100, superclass_of_class

COARSE = [
    *(4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7),
    *(6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10),
    *(16, 4, 17, 4, 2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16),
    *(12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13),
]
"""`coarse_labels` of the archive, by fine label."""


def test_every_class_is_in_the_superclass_that_the_archive_says() -> None:
    assert superclass_of_class("cifar100", 100) == COARSE
    assert sorted(len(members.split()) for members in CIFAR100.values()) == [5] * 20


def test_other_images_are_refused() -> None:
    expected = "expected images of 100 classes for cifar100, found 10"
    with pytest.raises(UserError, match=f"evaluation.superclasses: {expected}"):
        superclass_of_class("cifar100", 10)


def test_superclass_accuracy_counts_the_right_group() -> None:
    labels_N, predicted_N = torch.tensor([0, 0, 1, 3]), torch.tensor([0, 1, 2, 2])
    assert superclass_accuracy(predicted_N, labels_N, [0, 0, 1, 1]) == 0.75
    log_probs_NK = torch.nn.functional.one_hot(predicted_N, 4).double().log()
    assert superclass_accuracy(predicted_N, labels_N, range(4)) == top_k_accuracy(log_probs_NK, labels_N) == 0.25
