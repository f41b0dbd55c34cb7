"""The order in which an epoch visits its images."""

from collections.abc import Iterator

import torch
from torch import Tensor

from certifuse.errors import UserError
from certifuse.randomness import numpy_stream


def epoch_batches(
    indices_N: Tensor, batch_size: int, seed: int, epoch: int, device: torch.device | str, drop_last: bool = False
) -> Iterator[Tensor]:
    """Shuffled batches of `indices_N` on `device`: each index once, the last batch smaller or dropped.

    The order is a pure function of (seed, epoch): the same on every device, and known to a run that resumes. It is
    drawn on the host and sent to the device in one transfer; the batches are views of it.

    Raises:
        UserError: there is no batch to give.
    """
    order_N = torch.from_numpy(numpy_stream(seed, "batches", epoch).permutation(len(indices_N)))
    shuffled_N = indices_N[order_N.to(indices_N.device)].to(device)
    if drop_last:
        shuffled_N = shuffled_N[: len(shuffled_N) // batch_size * batch_size]
    if len(shuffled_N) == 0:
        raise UserError(f"batches: expected at least one batch of {batch_size}, found {len(indices_N)} images")
    return iter(torch.split(shuffled_N, batch_size))
