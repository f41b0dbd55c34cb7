"""A loss that is NaN or infinite stops a training before anything is stored."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from certifuse.base.errors import UserError
from certifuse.base.tensors import digest_tensors


class NonFiniteLossError(UserError):
    """The loss or its gradient is NaN or infinite. `replay` says of which step, and what computes it again."""

    def __init__(self, message: str, replay: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.replay = replay


class FiniteWatch:
    """Scalars of the steps of one stretch of training, all to be finite.

    `replay(step)` finds a step and its batch again: `epoch` where there are epochs, `step`, `seed`, and which examples.
    On a CPU every scalar is looked at when it comes; on a GPU `require` looks at the end of the stretch, since a look
    per step would stall the device.
    """

    def __init__(self, device: torch.device, network: nn.Module, replay: Callable[[int], dict[str, Any]]) -> None:
        self.device, self.network, self.replay = device, network, replay
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
            step, name, value = watched[finite.index(False)]
            raise self._error(step, name, float(value))

    def _error(self, step: int, name: str, value: float) -> NonFiniteLossError:
        replay = self.replay(step)
        seed = replay["seed"]
        where = ", ".join(f"{key} {replay[key]}" for key in ("epoch", "step") if key in replay)
        found = {"scalar": name, "value": str(value), "parameters_sha256": self._parameters_sha256()}
        return NonFiniteLossError(
            f"the {name} is not finite in {where} (seed {seed}): lower the learning rate or clip the gradient",
            replay | found,
        )

    def _parameters_sha256(self) -> str | None:
        """The parameters that gave the scalar; None on a GPU, where later steps have changed them by now."""
        if self.device.type != "cpu":
            return None
        return digest_tensors({name: value.detach() for name, value in self.network.named_parameters()})
