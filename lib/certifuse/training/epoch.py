"""One pass over the training images: the inner loop that every study shares."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from certifuse.base.errors import UserError
from certifuse.base.randomness import numpy_stream, seed_layers, torch_stream
from certifuse.data.images.augmentation import AlternatingFlips, augment
from certifuse.data.images.image_sizes import pixels_at, scaled_down
from certifuse.models.compute.device_images import DeviceImages
from certifuse.models.compute.runtime import Runtime
from certifuse.study.settings.augmentation import AugmentationSettings
from certifuse.study.settings.recipe import Recipe
from certifuse.training.loop.finite import FiniteWatch
from certifuse.training.optimisation import ParameterGroup, optimiser_tensors, restore_optimiser
from certifuse.training.single_values import require_values_to_normalise
from certifuse.training.weight_average import WeightAverage

Objective = Callable[[Any, Tensor], Mapping[str, Tensor]]
"""(network output, soft targets (N, K)) -> named scalar losses, one of them `total`."""


@dataclass
class EpochTrainer:
    """Trains a network for one epoch at a time; every draw is a function of (seed, epoch)."""

    network: nn.Module
    objective: Objective
    groups: Sequence[ParameterGroup]
    data: DeviceImages
    indices: Tensor
    batch_size: int
    augmentation: AugmentationSettings
    runtime: Runtime
    seed: int
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        self.average = WeightAverage(self.network, self.recipe)
        if min(len(self.indices), self.batch_size) == 1:
            image_1CHW = self.runtime.arrange(self.data.batch(self.indices[:1]))
            require_values_to_normalise(self.network, image_1CHW, len(self.indices), self.batch_size)

    @cached_property
    def flips(self) -> AlternatingFlips:
        """Who is flipped when, where flips alternate."""
        return AlternatingFlips(self.seed, len(self.data.labels), self.runtime.device)

    @property
    def images_per_epoch(self) -> int:
        """Images that an epoch visits: a last batch that is not full is left out, unless it is the only one."""
        count = len(self.indices)
        return count if count < self.batch_size else count - count % self.batch_size

    def run(self, epoch: int) -> dict[str, float]:
        """Train for one epoch. Returns the means of the losses and of each group's gradient norm.

        Raises:
            NonFiniteLossError: on a CPU at once; on a GPU at the end of the epoch, since a look per step would stall
                the device. In either case such a gradient has updated nothing, and nothing is stored.
        """
        self.network.train()
        seed_layers(self.seed, "layers", epoch)
        device = self.runtime.device
        draws = torch_stream(self.seed, "augment", epoch, device=device), numpy_stream(self.seed, "augment", epoch)
        drop_last = len(self.indices) >= self.batch_size
        batches = list(epoch_batches(self.indices, self.batch_size, self.seed, epoch, device, drop_last))
        seen: dict[str, list[Tensor]] = {}

        def replay(step: int) -> dict[str, Any]:
            return {"epoch": epoch + 1, "step": step + 1, "seed": self.seed, "images": batches[step].tolist()}

        finite = FiniteWatch(device, self.network, replay)
        for step, indices in enumerate(batches):
            losses = self._losses(indices, epoch, step / len(batches), *draws)
            finite.watch(step, "loss", losses["total"].detach())
            torch.autograd.backward(losses["total"])
            for group in self.groups:
                norm = group.after_backward(epoch + step / len(batches), step == len(batches) - 1)
                if norm is not None:
                    finite.watch(step, f"{group.name} gradient", norm)
                    seen.setdefault(f"{group.name}_gradient_norm", []).append(norm)
            self.average.update()
            for name, value in losses.items():
                seen.setdefault(name, []).append(value.detach())
        finite.require()
        return {name: float(torch.stack(values).double().mean()) for name, values in seen.items()}

    def state(self) -> dict[str, dict[str, Tensor]]:
        """What training changes beside the network: the state of every optimiser, and the average of the weights."""
        optimisers = {f"{group.name} optimiser": optimiser_tensors(group.optimiser) for group in self.groups}
        return {**optimisers, "average": self.average.state()}

    def restore(self, parts: Mapping[str, dict[str, Tensor]]) -> None:
        """Put back what `state` gave; a part without tensors may be absent."""
        for group in self.groups:
            restore_optimiser(group.optimiser, parts.get(f"{group.name} optimiser", {}))
        self.average.restore(parts.get("average", {}))

    def _losses(
        self,
        indices: Tensor,
        epoch: int,
        share: float,
        device_generator: torch.Generator,
        host_generator: np.random.Generator,
    ) -> Mapping[str, Tensor]:
        """The losses of a batch, after `share` of an epoch."""
        data = self.data
        alternating = self.augmentation.flip == "alternating"
        images, targets = augment(
            data.batch(indices),
            data.labels[indices],
            self.augmentation,
            data.num_classes,
            device_generator,
            host_generator,
            self.flips.at(epoch, indices) if alternating else None,
        )
        images = scaled_down(images, pixels_at(self.recipe.image_sizes, (epoch + share) / self.groups[0].epochs))
        with self.runtime.autocast():
            output = self.network(self.runtime.arrange(images))
        return self.objective(output, targets)


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
