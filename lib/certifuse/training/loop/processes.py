"""Several processes of one training, started by torchrun: each computes a share of every batch, all step alike.

No weights are exchanged: all processes start from the same seed, and every step adds up the same few gradients.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from certifuse.base.errors import UserError
from certifuse.training.loop.resume import ResumeStore, Snapshot


@dataclass(frozen=True)
class Processes:
    """The processes that train together, and which of them this is."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """True in the process that writes files and reports."""
        return self.rank == 0

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor by its sum over the processes, in one exchange. All of one type and device."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, total in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def any_of(self, flag: bool, device: torch.device) -> bool:
        """True where the flag is up in any of the processes; the same answer in all."""
        raised = torch.tensor([float(flag)], device=device)
        self.add_up([raised])
        return bool(raised)


@contextlib.contextmanager
def joined(expected: int, device: torch.device) -> Iterator[Processes]:
    """The processes of this training, as torchrun's environment tells; connected as long as the context lasts.

    Raises:
        UserError: they are not as many as the settings say, so the step was started in another way than by its rule.
    """
    count, rank = (int(os.environ.get(name, default)) for name, default in (("WORLD_SIZE", 1), ("RANK", 0)))
    if count != expected:
        raise UserError(
            f"sublora.training.processes: expected {expected} processes, found {count}: start the step with "
            f"torchrun --standalone --nproc-per-node {expected}"
        )
    if count == 1:
        yield Processes()
        return
    if device.type == "cuda":
        distributed.init_process_group("nccl", device_id=device)
    else:
        distributed.init_process_group("gloo")
    try:
        yield Processes(rank, count)
    finally:
        distributed.destroy_process_group()


class FollowingStore(ResumeStore):
    """The stored state as the processes that do not lead see it: to begin from, and nothing else."""

    def save(self, snapshot: Snapshot) -> None:
        """The leading process stores."""

    def note_running(self, run: str, epochs: int) -> None:
        """The leading process holds the lock."""

    @contextlib.contextmanager
    def noting_non_finite(self) -> Iterator[None]:
        """The leading process notes."""
        yield

    def remove(self) -> None:
        """The leading process tidies up."""
