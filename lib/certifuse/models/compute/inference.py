"""Forward passes over many images, and the two numbers that selection looks at."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from certifuse.models.compute.device_images import DeviceImages
from certifuse.models.compute.runtime import Runtime

BATCH_SIZE = 512


def outputs(
    network: nn.Module,
    data: DeviceImages,
    indices: Tensor,
    runtime: Runtime,
    batch_size: int = BATCH_SIZE,
    mirrored: bool = False,
) -> Iterator[Any]:
    """The network's output for each batch of the given images, in evaluation mode and without gradients.

    With `mirrored` it sees every image from the other side, left as right.
    """
    network.eval()
    with torch.inference_mode():
        for batch in torch.split(indices.to(runtime.device), batch_size):
            images_NCHW = data.batch(batch)
            with runtime.autocast():
                yield network(runtime.arrange(images_NCHW.flip(3) if mirrored else images_NCHW))


def logits_of(
    network: nn.Module, data: DeviceImages, indices: Tensor, runtime: Runtime, batch_size: int = BATCH_SIZE
) -> Tensor:
    """Logits (N, K) of one expert, fp32 on the CPU."""
    return torch.cat([logits.float().cpu() for _, logits in outputs(network, data, indices, runtime, batch_size)])


def fused_logits_of(
    network: nn.Module,
    data: DeviceImages,
    indices: Tensor,
    runtime: Runtime,
    batch_size: int = BATCH_SIZE,
    mirrored: bool = False,
) -> tuple[Tensor, Tensor]:
    """Global logits (N, K) and expert logits (E, N, K) of a fused network, fp32 on the CPU; see `outputs`."""
    parts = [
        (output.global_logits_NK.float().cpu(), output.expert_logits_ENK.float().cpu())
        for output in outputs(network, data, indices, runtime, batch_size, mirrored)
    ]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts], dim=1)


def accuracy_percent(logits_ENK: Tensor, labels_N: Tensor) -> Tensor:
    """Top-1 accuracy of each expert in percent, shape (E,)."""
    return 100 * (logits_ENK.argmax(-1) == labels_N).double().mean(-1)


def nll_nats(logits_ENK: Tensor, labels_N: Tensor) -> Tensor:
    """Mean negative log-likelihood of each expert, shape (E,)."""
    log_probs_ENK = functional.log_softmax(logits_ENK.double(), dim=-1)
    return -log_probs_ENK.gather(-1, labels_N.expand(len(logits_ENK), -1)[..., None]).mean((1, 2))
