"""The experts' features side by side."""

from torch import Tensor

from certifuse.models.images.fusion.parts import ExpertNorm, Fusion, mlp
from certifuse.study.settings.fusion import FusionModuleSettings


class Concatenation(Fusion):
    """The MLP, with E d inputs, on LN_1(x_1), ..., LN_E(x_E) side by side."""

    def __init__(self, experts: int, feature_dim: int, settings: FusionModuleSettings) -> None:
        super().__init__(experts, feature_dim, output_dim=feature_dim)
        self.norm = ExpertNorm(experts, feature_dim)
        self.mlp = mlp(experts * feature_dim, feature_dim, settings)

    def forward(self, features_ENd: Tensor) -> Tensor:
        """The fused feature (N, d)."""
        fused_Nd: Tensor = self.mlp(self.norm(features_ENd).transpose(0, 1).flatten(1))
        return fused_Nd


RULE = Concatenation
