"""Right or wrong: against loops; ties and near ties; what rounding can and cannot turn."""

import math

import pytest
import torch

from certifuse.evaluation.images.decisions import TIE, decide

K = 5


def drawn(images: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(images, K, generator=generator), torch.randint(K, (images,), generator=generator)


def by_hand(logits_NK: torch.Tensor, labels_N: torch.Tensor) -> tuple[list[bool], int]:
    """Image by image in Python numbers."""
    wrong, near = [], 0
    for logits, label in zip(logits_NK.tolist(), labels_N.tolist(), strict=True):
        others = [value for index, value in enumerate(logits) if index != label]
        margin = logits[label] - max(others)
        wrong.append(not margin > TIE)
        near += abs(margin - TIE) <= TIE
    return wrong, near


def test_equals_a_loop_over_the_images():
    logits_NK, labels_N = drawn(2000)
    logits_NK[::7] = (logits_NK[::7] * 5000).round() / 5000
    logits_NK[::7, :2] = logits_NK[::7].amax(1, keepdim=True) - torch.tensor([0.0, TIE / 2])
    found = decide(logits_NK.double(), labels_N)
    wrong, near = by_hand(logits_NK.double(), labels_N)
    assert found.wrong_N.tolist() == wrong
    assert (found.errors, found.examples, found.near_ties) == (sum(wrong), 2000, near)
    assert near > 50


def test_far_from_ties_it_is_the_arg_max():
    logits_NK, labels_N = drawn(500)
    assert torch.equal(decide(logits_NK, labels_N).wrong_N, logits_NK.argmax(1) != labels_N)


@pytest.mark.parametrize(
    ("margin", "errors", "near_ties"),
    [(-1.0, 1, 0), (0.0, 1, 1), (TIE / 2, 1, 1), (1.5 * TIE, 0, 1), (2.5 * TIE, 0, 0), (1.0, 0, 0), (-TIE / 2, 1, 0)],
)
def test_a_tie_is_an_error_whoever_comes_first(margin, errors, near_ties):
    """An arg max would be right or wrong by the order of the classes."""
    for label in range(K):
        logits_1K = torch.zeros(1, K, dtype=torch.float64)
        logits_1K[0, label] = margin
        found = decide(logits_1K, torch.tensor([label]))
        assert (found.errors, found.near_ties) == (errors, near_ties)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_an_error(value):
    """A model whose logits overflow would otherwise be certified as perfect."""
    everywhere = torch.full((3, K), value)
    assert decide(everywhere, torch.tensor([0, 1, 4])).errors == 3
    one = torch.zeros(1, K)
    one[0, 2] = value
    assert decide(one, torch.tensor([1])).errors == 1
    assert decide(one, torch.tensor([2])).errors == (0 if value == math.inf else 1)


def test_rounding_turns_near_ties_only():
    """Logits of another machine: no count changes by more than the near ties, and without them none changes."""
    logits_NK, labels_N = drawn(4000, seed=1)
    logits_NK[:300, 0] = logits_NK[:300, 1:].amax(1) + TIE * torch.linspace(0.5, 1.5, 300)
    labels_N[:300] = 0
    near, far = decide(logits_NK, labels_N), decide(logits_NK[300:], labels_N[300:])
    assert far.near_ties == 0
    turned = 0
    for seed in range(20):
        noise_NK = 1e-6 * torch.randn(4000, K, generator=torch.Generator().manual_seed(seed))
        moved = decide(logits_NK + noise_NK, labels_N)
        assert abs(moved.errors - near.errors) <= near.near_ties
        turned += int((moved.wrong_N != near.wrong_N).sum())
        assert torch.equal(moved.wrong_N[300:], far.wrong_N)
    assert turned > 0
