"""Agreement of the two paths of the loss: do they pull the experts the same way?"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from certifuse.models.compute.runtime import Runtime
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.training.losses import cross_entropy, expert_cross_entropies


def path_gradient_cosine(
    network: FusedNetwork, images_NCHW: Tensor, targets_NK: Tensor, label_smoothing: float, runtime: Runtime
) -> float:
    """Cosine between the gradients of the global and of the individual loss, over the experts' shared parameters.

    Those are the ones that both losses reach: everything but the experts' own heads. Below 0 the losses conflict. The
    network is in evaluation mode and changes nothing but that; 0 where a gradient vanishes.
    """
    network.eval()
    run_experts, network.run_experts = network.run_experts, _uncompiled  # two backward passes through one graph
    try:
        with runtime.autocast():
            output = network.forward(runtime.arrange(images_NCHW))
    finally:
        network.run_experts = run_experts
    losses = (
        cross_entropy(output.global_logits_NK, targets_NK, label_smoothing),
        expert_cross_entropies(output.expert_logits_ENK, targets_NK, label_smoothing).sum(),
    )
    of_global, of_individual = (_gradients(loss, network.experts) for loss in losses)
    both = zip(of_global, of_individual, strict=True)
    shared = [(one.flatten(), other.flatten()) for one, other in both if one is not None and other is not None]
    ours, theirs = map(torch.cat, zip(*shared, strict=True))
    return float(functional.cosine_similarity(ours, theirs, dim=0))


def _uncompiled(experts: Sequence[nn.Module], images_NCHW: Tensor) -> list[tuple[Tensor, Tensor]]:
    return [expert.forward(images_NCHW) for expert in experts]


def _gradients(loss: Tensor, experts: nn.Module) -> tuple[Tensor | None, ...]:
    trained = [parameter for parameter in experts.parameters() if parameter.requires_grad]
    return torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True)
