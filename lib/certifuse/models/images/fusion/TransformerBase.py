"""Attention among the experts' features."""

import math

import torch
from torch import Tensor, nn

from certifuse.models.images.fusion.parts import Fusion, mlp
from certifuse.study.settings.fusion import FusionModuleSettings


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
        self.mlp = mlp(feature_dim, feature_dim, settings)
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


RULE = TransformerBase
