"""A loss that is NaN or infinite stops a training before anything is stored."""

from collections.abc import Callable

import torch
from torch import Tensor

from certifuse.errors import UserError


class NonFiniteLossError(UserError):
    """The loss or its gradient is NaN or infinite. The message names epoch, step and seed, which replay the batch."""


class FiniteWatch:
    """Scalars of the steps of one stretch of training, all to be finite.

    `place(step)` says where a step is, for the message. On a CPU every scalar is looked at when it comes; on a GPU
    `require` looks at the end of the stretch, since a look per step would stall the device.
    """

    def __init__(self, device: torch.device, place: Callable[[int], str]) -> None:
        self.device, self.place = device, place
        self._watched: list[tuple[int, str, Tensor]] = []

    def watch(self, step: int, name: str, value: Tensor) -> None:
        """Look at a scalar of a step, now or in `require`."""
        self._watched.append((step, name, value))
        if self.device.type == "cpu":
            self.require()

    def require(self) -> None:
        """NonFiniteLossError for the first of the scalars since the last look that is not finite."""
        watched, self._watched = self._watched, []
        finite = torch.stack([value for _, _, value in watched]).isfinite().tolist() if watched else []
        if not all(finite):
            step, name, _ = watched[finite.index(False)]
            raise NonFiniteLossError(
                f"the {name} is not finite in {self.place(step)}: lower the learning rate or clip the gradient"
            )
