"""The fused network: experts, a fusion module over their features, and a global head.

Shapes: E experts, N images, C channels, H height, W width, d features of an expert, K classes.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from certifuse.base.errors import UserError
from certifuse.models.compute.experts import RunExperts
from certifuse.models.images.blocks import ImageClassifier
from certifuse.models.images.fusion.parts import Fusion


class FusedOutput(NamedTuple):
    """Output of a fused network for a batch of images."""

    global_logits_NK: Tensor
    expert_logits_ENK: Tensor
    features_ENd: Tensor


def in_turn(experts: Sequence[nn.Module], images_NCHW: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Features and logits of each expert, one expert after the other."""
    return [expert(images_NCHW) for expert in experts]


class FusedNetwork(nn.Module):
    """Experts whose features are fused and classified by a global head; each expert keeps its own head.

    Without a fusion module it is the averaging baseline: it has no global head, and the global logits are the
    logarithm of the experts' mean probability (a deep ensemble, Lakshminarayanan et al. 2017, arXiv 1612.01474). With a
    module that `adds_to_average` they are `log mean_i p_i(y | x) + head(fusion(x_1, ..., x_E))`, with a head of zeros
    until it is trained: fusion then begins as that average, not below it.

    Args:
        experts: networks with the same feature size and number of classes.
        fusion: the fusion module, or None for the averaging baseline.
        num_classes: K.

    `run_experts` is how the experts run: in turn, unless training sets another way (`models.compute.side_by_side`).

    Raises:
        UserError: experts, fusion module and number of classes do not fit each other.
    """

    experts: nn.ModuleList
    run_experts: RunExperts

    def __init__(self, experts: Sequence[ImageClassifier], fusion: Fusion | None, num_classes: int) -> None:
        super().__init__()
        _check_fit(experts, fusion, num_classes)
        self.feature_dim, self.num_classes = experts[0].feature_dim, num_classes
        self.experts = nn.ModuleList(experts)
        self.run_experts = in_turn
        self.fusion = fusion
        self.global_head = None if fusion is None else nn.Linear(fusion.output_dim, num_classes)
        self.adds_to_average = False
        if fusion is not None and fusion.adds_to_average:
            self.start_at_average()

    def start_at_average(self) -> None:
        """Let the fused feature correct the average of the experts, by nothing at first."""
        self.adds_to_average = True
        for parameter in self.component_modules()["global_head"].parameters():
            nn.init.zeros_(parameter)

    def forward(self, images_NCHW: Tensor) -> FusedOutput:
        """Global logits (N, K), expert logits (E, N, K) and expert features (E, N, d)."""
        features, logits = zip(*self.run_experts(list(self.experts), images_NCHW), strict=True)
        features_ENd, expert_logits_ENK = torch.stack(features), torch.stack(logits)
        if self.fusion is None or self.global_head is None:
            return FusedOutput(mean_log_probs(expert_logits_ENK), expert_logits_ENK, features_ENd)
        global_logits_NK = self.global_head(self.fusion(features_ENd))
        if self.adds_to_average:
            global_logits_NK = mean_log_probs(expert_logits_ENK) + global_logits_NK
        return FusedOutput(global_logits_NK, expert_logits_ENK, features_ENd)

    def component_modules(self) -> dict[str, nn.Module]:
        """The parts that are stored as separate files: `expert_0`, ..., and with fusion `fusion`, `global_head`."""
        parts: dict[str, nn.Module] = {f"expert_{index}": expert for index, expert in enumerate(self.experts)}
        if self.fusion is not None and self.global_head is not None:
            parts |= {"fusion": self.fusion, "global_head": self.global_head}
        return parts


def _check_fit(experts: Sequence[ImageClassifier], fusion: Fusion | None, num_classes: int) -> None:
    expected = (experts[0].feature_dim, num_classes)
    for index, expert in enumerate(experts):
        found = (expert.feature_dim, expert.head.out_features)
        if found != expected:
            raise UserError(
                f"expert {index}: expected (feature size, classes) {expected}, found {found}: "
                "choose experts of one architecture and width, trained on the same classes"
            )
    if fusion is not None and (fusion.experts, fusion.feature_dim) != (len(experts), expected[0]):
        raise UserError(
            f"fusion module: expected (experts, feature size) {(len(experts), expected[0])}, "
            f"found {(fusion.experts, fusion.feature_dim)}: build it for these experts"
        )


def mean_log_probs(expert_logits_ENK: Tensor) -> Tensor:
    """Logarithm of the experts' mean probability, shape (N, K), in fp32."""
    log_probs_ENK = functional.log_softmax(expert_logits_ENK.float(), dim=-1)
    return log_probs_ENK.logsumexp(0) - math.log(expert_logits_ENK.shape[0])


class AnchoredNetwork(FusedNetwork):
    """A fused network that starts at the average of its experts, whatever its fusion module.

    A certificate pays for every bit that tells the trained network from its prior, so the prior has to be good: a
    fused network with a fresh head guesses, this one is the deep ensemble of its pre-trained experts.
    """

    def __init__(self, experts: Sequence[ImageClassifier], fusion: Fusion, num_classes: int) -> None:
        super().__init__(experts, fusion, num_classes)
        self.start_at_average()
