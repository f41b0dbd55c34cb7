"""The product and a weighted sum of the experts' features."""

import torch
from torch import Tensor, nn

from certifuse.models.images.fusion.parts import NormedCombination, product, weighted_sum
from certifuse.study.settings.fusion import FusionModuleSettings


class MultiplicativeAddition(NormedCombination):
    """`MLP(prod_i LN_i(x_i) + sum_i softmax(w)_i LN_i(x_i))`; the learnt w starts at ones."""

    def __init__(self, experts: int, feature_dim: int, settings: FusionModuleSettings) -> None:
        super().__init__(experts, feature_dim, settings)
        self.weights_E = nn.Parameter(torch.ones(experts))

    def combined(self, normed_ENd: Tensor) -> Tensor:
        """Product plus sum, (N, d)."""
        return product(normed_ENd) + weighted_sum(self.weights_E, normed_ENd)


RULE = MultiplicativeAddition
