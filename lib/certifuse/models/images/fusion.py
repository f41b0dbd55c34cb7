"""The fusion rules: from the features of E experts to one feature.

Shapes: E experts, N images, D features of an expert, d features in the rule, H heads, c = d / H.

Every rule takes (E, N, d) and gives (N, d). MLP is Linear d -> h, ReLU, Dropout, Linear h -> d; h is d unless set.
Features become fp32 on entry: a product of E of them is heavy-tailed (kurtosis 3^E for normal ones), too much for
the 8 bits of precision of bf16. Autocast lowers matrix products only, so all up to the first linear layer is fp32.
"""

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from certifuse.study.settings.fusion import FusionModuleSettings


class Fusion(nn.Module):
    """The base of every rule: `experts` and `feature_dim` are what it takes, `output_dim` is what it gives."""

    def __init__(self, experts: int, feature_dim: int, output_dim: int) -> None:
        super().__init__()
        self.experts = experts
        self.feature_dim = feature_dim
        self.output_dim = output_dim


class Multiplicative(Fusion):
    """`MLP(prod_i LN_i(x_i))`."""

    def __init__(self, experts: int, feature_dim: int, settings: FusionModuleSettings) -> None:
        super().__init__(experts, feature_dim, output_dim=feature_dim)
        self.norm = ExpertNorm(experts, feature_dim)
        self.mlp = _mlp(feature_dim, feature_dim, settings)

    def forward(self, features_ENd: Tensor) -> Tensor:
        """The fused feature (N, d)."""
        fused_Nd: Tensor = self.mlp(self._combined(self.norm(features_ENd)))
        return fused_Nd

    def _combined(self, normed_ENd: Tensor) -> Tensor:
        return _product(normed_ENd)


class MultiplicativeShifted(Multiplicative):
    """`MLP(prod_i (LN_i(x_i) + 1))`: the factors are around one, so the product holds every x_i to first order."""

    def _combined(self, normed_ENd: Tensor) -> Tensor:
        return _product(normed_ENd + 1)


class MultiplicativeAddition(Multiplicative):
    """`MLP(prod_i LN_i(x_i) + sum_i softmax(w)_i LN_i(x_i))`; the learnt w starts at ones."""

    def __init__(self, experts: int, feature_dim: int, settings: FusionModuleSettings) -> None:
        super().__init__(experts, feature_dim, settings)
        self.weights_E = nn.Parameter(torch.ones(experts))

    def _combined(self, normed_ENd: Tensor) -> Tensor:
        return _product(normed_ENd) + _weighted_sum(self.weights_E, normed_ENd)


class SimpleAddition(Fusion):
    """`MLP(sum_i softmax(w)_i x_i)`; the learnt w starts at ones."""

    def __init__(self, experts: int, feature_dim: int, settings: FusionModuleSettings) -> None:
        super().__init__(experts, feature_dim, output_dim=feature_dim)
        self.weights_E = nn.Parameter(torch.ones(experts))
        self.mlp = _mlp(feature_dim, feature_dim, settings)

    def forward(self, features_ENd: Tensor) -> Tensor:
        """The fused feature (N, d)."""
        fused_Nd: Tensor = self.mlp(_weighted_sum(self.weights_E, features_ENd.float()))
        return fused_Nd


class Concatenation(Fusion):
    """The MLP, with E d inputs, on LN_1(x_1), ..., LN_E(x_E) side by side."""

    def __init__(self, experts: int, feature_dim: int, settings: FusionModuleSettings) -> None:
        super().__init__(experts, feature_dim, output_dim=feature_dim)
        self.norm = ExpertNorm(experts, feature_dim)
        self.mlp = _mlp(experts * feature_dim, feature_dim, settings)

    def forward(self, features_ENd: Tensor) -> Tensor:
        """The fused feature (N, d)."""
        fused_Nd: Tensor = self.mlp(self.norm(features_ENd).transpose(0, 1).flatten(1))
        return fused_Nd


class TransformerBase(Fusion):
    """One encoder layer over the experts as tokens, then the mean over tokens.

    Multi-head self-attention and feed-forward, each with a residual (Vaswani et al. 2017, arXiv 1706.03762), in
    pre-norm order with a last norm (Xiong et al. 2020, arXiv 2002.04745): `t <- t + A(LN(t))`, `t <- t + MLP(LN(t))`,
    `mean_i LN(t_i)`. Tokens carry no position, so the rule does not depend on the order of the experts. Without
    cross-expert attention a mask lets each token attend to itself only; the parameters are the same.
    """

    def __init__(self, experts: int, feature_dim: int, settings: FusionModuleSettings) -> None:
        super().__init__(experts, feature_dim, output_dim=feature_dim)
        self.heads = max(h for h in range(1, settings.attention_heads + 1) if feature_dim % h == 0)
        self.attention_norm = nn.LayerNorm(feature_dim)
        self.query_key_value = nn.Linear(feature_dim, 3 * feature_dim)
        self.attention_output = nn.Linear(feature_dim, feature_dim)
        self.attention_dropout = nn.Dropout(settings.dropout)
        self.mlp_norm = nn.LayerNorm(feature_dim)
        self.mlp = _mlp(feature_dim, feature_dim, settings)
        self.norm = nn.LayerNorm(feature_dim)
        self.visible_EE: Tensor
        visible_EE = torch.eye(experts).bool() | settings.cross_expert_attention
        self.register_buffer("visible_EE", visible_EE, persistent=False)

    def forward(self, features_ENd: Tensor) -> Tensor:
        """The fused feature (N, d)."""
        return self.tokens(features_ENd).mean(dim=1)

    def tokens(self, features_ENd: Tensor) -> Tensor:
        """The tokens (N, E, d) after the layer and the last norm."""
        tokens_NEd = features_ENd.float().transpose(0, 1)
        tokens_NEd = tokens_NEd + self.attention_dropout(self._attention(self.attention_norm(tokens_NEd)))
        tokens_NEd = tokens_NEd + self.mlp(self.mlp_norm(tokens_NEd))
        last_NEd: Tensor = self.norm(tokens_NEd)
        return last_NEd

    def _attention(self, tokens_NEd: Tensor) -> Tensor:
        # Written out, since E is a handful: fused attention kernels are not deterministic on every device.
        images, experts, _ = tokens_NEd.shape
        query_key_value_NE3Hc: Tensor = self.query_key_value(tokens_NEd).reshape(images, experts, 3, self.heads, -1)
        query_NHEc, key_NHEc, value_NHEc = query_key_value_NE3Hc.permute(2, 0, 3, 1, 4)
        scores_NHEE = query_NHEc @ key_NHEc.transpose(-1, -2) / math.sqrt(query_NHEc.shape[-1])
        shares_NHEE = scores_NHEE.masked_fill(~self.visible_EE, -math.inf).softmax(dim=-1)
        output_NEd: Tensor = self.attention_output((shares_NHEE @ value_NHEc).transpose(1, 2).flatten(2))
        return output_NEd


class ProjectedFusion(Fusion):
    """A rule on linear projections of the features, one projection per expert: `rule(P_1 x_1, ..., P_E x_E)`."""

    def __init__(self, rule: Fusion, feature_dim: int) -> None:
        super().__init__(rule.experts, feature_dim, rule.output_dim)
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


def build_fusion(name: str, experts: int, feature_dim: int, settings: FusionModuleSettings) -> Fusion:
    """An untrained rule of `FUSIONS` for E features of size D; `settings.input_dim` projects them first if set."""
    if settings.input_dim is None:
        return FUSIONS[name](experts, feature_dim, settings)
    return ProjectedFusion(FUSIONS[name](experts, settings.input_dim, settings), feature_dim)


def _mlp(input_dim: int, output_dim: int, settings: FusionModuleSettings) -> nn.Sequential:
    hidden_dim = settings.hidden_dim or output_dim
    hidden = (nn.Linear(input_dim, hidden_dim), nn.ReLU(), nn.Dropout(settings.dropout))
    return nn.Sequential(*hidden, nn.Linear(hidden_dim, output_dim))


def _product(factors_ENd: Tensor) -> Tensor:
    # One factor after the other: the gradient of torch.prod looks for zeros, which stalls a GPU.
    return functools.reduce(torch.mul, factors_ENd.unbind(0))


def _weighted_sum(weights_E: Tensor, features_ENd: Tensor) -> Tensor:
    return (weights_E.softmax(dim=0)[:, None, None] * features_ENd).sum(dim=0)


FUSIONS: dict[str, Callable[[int, int, FusionModuleSettings], Fusion]] = {
    "multiplicative": Multiplicative,
    "multiplicativeAddition": MultiplicativeAddition,
    "TransformerBase": TransformerBase,
    "concatenation": Concatenation,
    "simpleAddition": SimpleAddition,
    "multiplicativeShifted": MultiplicativeShifted,
}
