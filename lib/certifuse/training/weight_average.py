"""The average of the weights of a training, beside the weights that are trained."""

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from certifuse.study.settings.recipe import Recipe


class WeightAverage:
    """An exponential moving average of parameters and buffers, one step of it after every step of the optimisers.

    It starts at the weights after the first step. Without a decay there is none, and the network stands for itself.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        decay = recipe.weight_average_decay
        self._network = network
        self._averaged: AveragedModel | None = None
        if decay is not None:
            average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            self._averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=True)

    def update(self) -> None:
        """Take in the weights of the network as they are."""
        if self._averaged is not None:
            self._averaged.update_parameters(self._network)

    @property
    def network(self) -> nn.Module:
        """What is validated and stored."""
        return self._network if self._averaged is None else self._averaged.module

    @property
    def weights_in_state(self) -> int:
        """How many times a state of the training holds the weights: as they are, the best, and their average."""
        return 2 if self._averaged is None else 3

    def state(self) -> dict[str, Tensor]:
        """All that it holds, by name."""
        return {} if self._averaged is None else self._averaged.state_dict()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        if self._averaged is not None:
            self._averaged.load_state_dict(tensors)
