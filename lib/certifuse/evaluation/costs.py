"""What a prediction costs, whatever the machine: parameters, and operations for one image."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def forward_costs(network: nn.Module, image_shape: Sequence[int]) -> dict[str, int]:
    """`parameters`, and `forward_flops` of one image of shape (C, H, W): counted while the network runs.

    Convolutions, matrix products and attention are counted, two operations for a multiply-add, as in
    `torch.utils.flop_counter`; norms, activations and sums are not, as is usual.
    """
    first = next(network.parameters())
    image = torch.zeros(1, *image_shape, device=first.device, dtype=first.dtype)
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"parameters": parameters, "forward_flops": counter.get_total_flops()}
