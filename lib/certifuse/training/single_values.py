"""Batches of one image, which batch norm cannot normalise where a map has been halved down to a single value."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from certifuse.base.errors import UserError


def require_values_to_normalise(network: nn.Module, image_1CHW: Tensor, images: int, batch_size: int) -> None:
    """Look, before a training whose batches are of one image, whether each batch norm will see more than one value.

    One pass in evaluation mode, which changes no state of the network and draws nothing.

    Raises:
        UserError: a batch norm will not.
    """
    seen: list[int] = []

    def see(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0].numel() // inputs[0].shape[1])

    hooks = [part.register_forward_pre_hook(see) for part in network.modules() if isinstance(part, _BatchNorm)]
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            network.eval()(image_1CHW)
    finally:
        for hook in hooks:
            hook.remove()
    if 1 in seen:
        size = "x".join(map(str, image_1CHW.shape[2:]))
        found = f"{batch_size} for {images} images" if images > 1 else "one image to train on"
        raise UserError(
            f"batch_size: expected batches of at least 2 images, since this network halves images of {size} down to "
            f"one value a channel, which batch norm cannot normalise, found {found}: raise it, or take fewer stages"
        )
