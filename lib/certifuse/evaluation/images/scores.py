"""Proper scores, accuracies and selective risk of one model's predictive distribution.

Shape suffixes: N examples, K classes. Every function takes natural-log probabilities `log_probs_NK` (any float type;
sums run in float64) and whole-number `labels_N`, and raises ValueError on other shapes, labels outside 0..K-1, NaN
and rows that are not normalised.
"""

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from certifuse.evaluation.images.calibration import expected_calibration_error, reliability_bins
from certifuse.evaluation.images.checks import check_log_probs

TOP_K = 5


def top_k_accuracy(log_probs_NK: Tensor, labels_N: Tensor, k: int = 1) -> float:
    """Share of examples whose label is among the k most probable classes, in [0, 1].

    Of equally probable classes the lower index ranks first, as in `torch.argmax`: a constant prediction scores chance.
    """
    check_log_probs(log_probs_NK, labels_N)
    classes = log_probs_NK.shape[1]
    if not 1 <= k <= classes:
        raise ValueError(f"k: expected 1..{classes}, found {k}")
    label_N1 = labels_N.long()[:, None]
    label_log_prob_N1 = log_probs_NK.gather(1, label_N1)
    precedes_1K = torch.arange(classes, device=log_probs_NK.device) < label_N1
    ahead_NK = (log_probs_NK > label_log_prob_N1) | ((log_probs_NK == label_log_prob_N1) & precedes_1K)
    return float((ahead_NK.sum(1) < k).double().mean())


def nll_nats(log_probs_NK: Tensor, labels_N: Tensor) -> float:
    """Mean negative log-likelihood -1/N sum_n log p_n(y_n), in nats; infinite when a label has probability zero."""
    check_log_probs(log_probs_NK, labels_N)
    return -float(log_probs_NK.double().gather(1, labels_N.long()[:, None]).mean())


def brier_score(log_probs_NK: Tensor, labels_N: Tensor) -> float:
    """Mean squared distance to the one-hot label, 1/N sum_n sum_k (p_nk - [y_n = k])^2, in [0, 2].

    The sum over classes of Brier (1950), equation 2; dividing by K would make it incomparable across class counts.
    """
    check_log_probs(log_probs_NK, labels_N)
    probs_NK = log_probs_NK.double().exp()
    label_probs_N = probs_NK.gather(1, labels_N.long()[:, None])[:, 0]
    return float((probs_NK.square().sum(1) - 2 * label_probs_N + 1).mean())


def aurc(log_probs_NK: Tensor, labels_N: Tensor) -> float:
    """Area under the risk-coverage curve, 1/N sum_n risk(n), in [0, 1]; lower is better.

    risk(n) is the error rate on the n examples with the largest maximum probability (Geifman, Uziel and El-Yaniv
    2019, "Bias-reduced uncertainty estimation for deep neural classifiers", section 2). Where confidences tie, the
    errors of the tied examples are spread evenly over their places: the expected area over a random order of them,
    so that the value does not depend on the order of the examples.
    """
    check_log_probs(log_probs_NK, labels_N)
    confidence_N, predicted_N = log_probs_NK.double().max(1)
    wrong_N = (predicted_N != labels_N).double()
    _, group_N, count_G = torch.unique(confidence_N.neg(), return_inverse=True, return_counts=True)
    wrong_G = torch.zeros_like(count_G, dtype=torch.float64).index_add_(0, group_N, wrong_N)
    errors_N = (wrong_G / count_G).repeat_interleave(count_G).cumsum(0)
    covered_N = torch.arange(1, len(errors_N) + 1, device=errors_N.device)
    return float((errors_N / covered_N).mean())


def per_class_accuracy(log_probs_NK: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
    """Top-1 accuracy within each class, (K,) float64, and the number of examples of each class, (K,) int64.

    A class without examples has count 0 and accuracy NaN: drop it by its count.
    """
    check_log_probs(log_probs_NK, labels_N)
    labels_N = labels_N.long()
    classes = log_probs_NK.shape[1]
    correct_N = (log_probs_NK.argmax(1) == labels_N).long()
    count_K = torch.zeros(classes, dtype=torch.int64, device=labels_N.device).index_add_(
        0, labels_N, torch.ones_like(labels_N)
    )
    correct_K = torch.zeros_like(count_K).index_add_(0, labels_N, correct_N)
    return correct_K.double() / count_K, count_K


def superclass_accuracy(predicted_N: Tensor, labels_N: Tensor, superclass_of_class: Sequence[int]) -> float:
    """Share of examples whose predicted class is in the superclass of the label, in [0, 1]."""
    superclass_K = torch.tensor(superclass_of_class, device=labels_N.device)
    return float((superclass_K[predicted_N.long()] == superclass_K[labels_N.long()]).double().mean())


def score_table(log_probs_NK: Tensor, labels_N: Tensor, bins: int = 15) -> dict[str, float]:
    """Every scalar score under its column name; `top5_percent` only where K > 5. Those without a unit are ratios."""
    table = {"top1_percent": 100 * top_k_accuracy(log_probs_NK, labels_N)}
    if log_probs_NK.shape[1] > TOP_K:
        table["top5_percent"] = 100 * top_k_accuracy(log_probs_NK, labels_N, TOP_K)
    return table | {
        "nll_nats": nll_nats(log_probs_NK, labels_N),
        "brier": brier_score(log_probs_NK, labels_N),
        "ece": expected_calibration_error(reliability_bins(log_probs_NK, labels_N, bins)),
        "aurc": aurc(log_probs_NK, labels_N),
    }


def forward_costs(network: nn.Module, image_shape: Sequence[int]) -> dict[str, int]:
    """`parameters`, and `forward_flops` of one image of shape (C, H, W): counted on shapes alone, nothing is computed.

    Convolutions, matrix products and attention are counted, two operations for a multiply-add, as in
    `torch.utils.flop_counter`; norms, activations and sums are not, as is usual.
    """
    tensors = chain(network.named_parameters(), network.named_buffers())
    shapes = {name: tensor.detach().to("meta") for name, tensor in tensors}
    image = torch.zeros(1, *image_shape, device="meta", dtype=next(network.parameters()).dtype)
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        functional_call(network, shapes, (image,))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"parameters": parameters, "forward_flops": counter.get_total_flops()}
