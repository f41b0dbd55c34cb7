"""Shared by the fusion rules. Shapes as in `certifuse.models.images.fusion`."""

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional

from certifuse.study.settings.fusion import FusionModuleSettings


class Fusion(nn.Module):
    """The base of every rule: `experts` and `feature_dim` are what it takes, `output_dim` is what it gives.

    With `adds_to_average` the global head's output is a correction to the average of the experts (see `FusedNetwork`).
    """

    adds_to_average = False

    def __init__(self, experts: int, feature_dim: int, output_dim: int) -> None:
        super().__init__()
        self.experts = experts
        self.feature_dim = feature_dim
        self.output_dim = output_dim


class NormedCombination(Fusion):
    """`MLP(combined(LN_1(x_1), ..., LN_E(x_E)))`."""

    def __init__(self, experts: int, feature_dim: int, settings: FusionModuleSettings) -> None:
        super().__init__(experts, feature_dim, output_dim=feature_dim)
        self.norm = ExpertNorm(experts, feature_dim)
        self.mlp = mlp(feature_dim, feature_dim, settings)

    def forward(self, features_ENd: Tensor) -> Tensor:
        """The fused feature (N, d)."""
        fused_Nd: Tensor = self.mlp(self.combined(self.norm(features_ENd)))
        return fused_Nd

    def combined(self, normed_ENd: Tensor) -> Tensor:
        """One feature (N, d) from the normed features (E, N, d) of the experts."""
        raise NotImplementedError


class ProjectedFusion(Fusion):
    """A rule on linear projections of the features, one projection per expert: `rule(P_1 x_1, ..., P_E x_E)`."""

    def __init__(self, rule: Fusion, feature_dim: int) -> None:
        super().__init__(rule.experts, feature_dim, rule.output_dim)
        self.adds_to_average = rule.adds_to_average
        self.projections = nn.ModuleList(nn.Linear(feature_dim, rule.feature_dim) for _ in range(rule.experts))
        self.rule = rule

    def forward(self, features_END: Tensor) -> Tensor:
        """The fused feature (N, d)."""
        pairs = zip(self.projections, features_END.unbind(0), strict=True)
        fused_Nd: Tensor = self.rule(torch.stack([projection(features_ND) for projection, features_ND in pairs]))
        return fused_Nd


class ExpertNorm(nn.Module):
    """LN_i: layer norm over the features of each expert, with a scale and a shift of its own (arXiv 1607.06450)."""

    def __init__(self, experts: int, feature_dim: int) -> None:
        super().__init__()
        self.scale_E1d = nn.Parameter(torch.ones(experts, 1, feature_dim))
        self.shift_E1d = nn.Parameter(torch.zeros(experts, 1, feature_dim))

    def forward(self, features_ENd: Tensor) -> Tensor:
        """The normed features (E, N, d), in fp32."""
        normed_ENd = functional.layer_norm(features_ENd.float(), features_ENd.shape[-1:])
        return normed_ENd * self.scale_E1d + self.shift_E1d


def mlp(input_dim: int, output_dim: int, settings: FusionModuleSettings) -> nn.Sequential:
    """Linear, ReLU, Dropout, Linear; the hidden size is that of the output unless the settings give another."""
    hidden_dim = settings.hidden_dim or output_dim
    hidden = (nn.Linear(input_dim, hidden_dim), nn.ReLU(), nn.Dropout(settings.dropout))
    return nn.Sequential(*hidden, nn.Linear(hidden_dim, output_dim))


def product(factors_ENd: Tensor) -> Tensor:
    """The product over experts, (N, d)."""
    # One factor after the other: the gradient of torch.prod looks for zeros, which stalls a GPU.
    return functools.reduce(torch.mul, factors_ENd.unbind(0))


def weighted_sum(weights_E: Tensor, features_ENd: Tensor) -> Tensor:
    """`sum_i softmax(w)_i x_i`, (N, d)."""
    return (weights_E.softmax(dim=0)[:, None, None] * features_ENd).sum(dim=0)
