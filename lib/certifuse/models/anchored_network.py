"""A fused network that starts as the average of its experts."""

from collections.abc import Sequence

from torch import Tensor, nn

from certifuse.models.blocks import ImageClassifier
from certifuse.models.fused_network import FusedNetwork, FusedOutput, mean_log_probs
from certifuse.models.fusion import Fusion


class AnchoredNetwork(FusedNetwork):
    """`log mean_i p_i(y | x) + head(fusion(x_1, ..., x_E))` with a head of zeros: the average, until it is trained.

    A certificate pays for every bit that tells the trained network from its prior, so the prior has to be good: a
    fused network with a fresh head guesses, this one is the deep ensemble of its pre-trained experts.
    """

    def __init__(self, experts: Sequence[ImageClassifier], fusion: Fusion, num_classes: int) -> None:
        super().__init__(experts, fusion, num_classes)
        for parameter in self.component_modules()["global_head"].parameters():
            nn.init.zeros_(parameter)

    def forward(self, images_NCHW: Tensor) -> FusedOutput:
        """Global logits (N, K), expert logits (E, N, K) and expert features (E, N, d)."""
        output = super().forward(images_NCHW)
        anchored_NK = mean_log_probs(output.expert_logits_ENK) + output.global_logits_NK
        return output._replace(global_logits_NK=anchored_NK)
