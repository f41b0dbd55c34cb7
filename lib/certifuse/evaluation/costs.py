"""What a prediction costs, whatever the machine: parameters, and operations for one image."""

from collections.abc import Sequence
from itertools import chain

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode


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
