"""A weighted sum of the experts' features."""

import torch
from torch import Tensor, nn

from certifuse.models.images.fusion.parts import Fusion, mlp, weighted_sum
from certifuse.study.settings.fusion import FusionModuleSettings


class SimpleAddition(Fusion):
    """`MLP(sum_i softmax(w)_i x_i)`; the learnt w starts at ones."""

    def __init__(self, experts: int, feature_dim: int, settings: FusionModuleSettings) -> None:
        super().__init__(experts, feature_dim, output_dim=feature_dim)
        self.weights_E = nn.Parameter(torch.ones(experts))
        self.mlp = mlp(feature_dim, feature_dim, settings)

    def forward(self, features_ENd: Tensor) -> Tensor:
        """The fused feature (N, d)."""
        fused_Nd: Tensor = self.mlp(weighted_sum(self.weights_E, features_ENd.float()))
        return fused_Nd


RULE = SimpleAddition
