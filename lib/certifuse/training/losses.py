"""The losses, in fp32 whatever the precision of the network.

Shapes: E experts, N images, K classes. All losses are in nats, averaged over the N images.
"""

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits_NK: Tensor, targets_NK: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy against soft targets; smoothing moves that much of the mass to all classes equally."""
    return functional.cross_entropy(logits_NK.float(), targets_NK, label_smoothing=label_smoothing)


def expert_cross_entropies(expert_logits_ENK: Tensor, targets_NK: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """The cross-entropy of each expert, shape (E,)."""
    classes = targets_NK.shape[1]
    smoothed_NK = targets_NK * (1 - label_smoothing) + label_smoothing / classes
    log_probs_ENK = functional.log_softmax(expert_logits_ENK.float(), dim=-1)
    return -(smoothed_NK * log_probs_ENK).sum(-1).mean(-1)


def mutual_distillation(expert_logits_ENK: Tensor, temperature: float) -> Tensor:
    """Mean over experts of T^2 KL(mean of the other experts' softmax || own softmax), both at temperature T.

    The teachers are detached: each expert learns from the others, not they from it
    (Deep Mutual Learning, Zhang et al. 2018, arXiv 1706.00384, eq. 5, with Hinton's T^2).
    One expert has nobody to learn from: zero.
    """
    experts = expert_logits_ENK.shape[0]
    if experts == 1:
        return expert_logits_ENK.new_zeros((), dtype=torch.float32)
    log_probs_ENK = functional.log_softmax(expert_logits_ENK.float() / temperature, dim=-1)
    probs_ENK = log_probs_ENK.detach().exp()
    teachers_ENK = (probs_ENK.sum(0) - probs_ENK) / (experts - 1)
    divergence_EN = functional.kl_div(log_probs_ENK, teachers_ENK, reduction="none").sum(-1)
    return temperature**2 * divergence_EN.mean()
