"""The prior of a certificate and its decoded model once more: double precision, dense P, no code of the library's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from scipy import stats
from torch import nn

from certifuse.base.randomness import initialising
from certifuse.data.images.image_set import ImageSet, load_image_set
from certifuse.data.images.splits import load_splits
from certifuse.evaluation.images.decisions import TIE
from certifuse.models.components.assembly import load_network
from certifuse.models.images.fusion.registry import build_fusion
from certifuse.models.subspace.projectors import KroneckerProjector
from certifuse.study.settings.fusion import FusionModuleSettings


def wrong(logits_NK: torch.Tensor, labels_N: torch.Tensor) -> list[bool]:
    """Image by image: the label's logit does not exceed all others by more than the tie."""
    rows = zip(logits_NK.tolist(), labels_N.tolist(), strict=True)
    return [not all(row[label] > value + TIE for k, value in enumerate(row) if k != label) for row, label in rows]


def beta_limit(errors: int, examples: int, delta: float) -> float:
    return float(stats.beta.ppf(1 - delta, errors + 1, examples - errors)) if errors < examples else 1.0


class ByHand:
    """Made of component files, a seed and a fusion module by concatenation. `statistics` are mean and deviation."""

    def __init__(
        self,
        images: ImageSet,
        sets: Mapping[str, torch.Tensor],
        statistics: Sequence[Sequence[float]],
        experts: Sequence[Path],
        module: FusionModuleSettings,
        seed: int = 0,
    ):
        self.images, self.sets, self.statistics = images, sets, statistics
        self.experts = load_network(experts, None, None).experts
        with initialising(seed, "fusion", "concatenation", "weights"):
            self.fusion = build_fusion("concatenation", len(experts), self.experts[0].feature_dim, module)
        self.head = nn.Linear(self.fusion.output_dim, 4)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.parts = nn.ModuleList([self.experts, self.fusion, self.head]).double().eval()

    @classmethod
    def of(cls, study: Any, seed: int = 0) -> Self:
        """From the files of a study."""
        images, splits = load_image_set(study.tiny.images), load_splits(study.tiny.splits)
        statistics = (splits.mean, splits.std)
        return cls(images, splits.named(), statistics, study.tiny.experts, study.step().fusion, seed)

    def move(self, w_d: np.ndarray, seed: int = 0) -> None:
        """theta0 + P w, with P written out as a matrix."""
        theta0 = nn.utils.parameters_to_vector(self.parts.parameters()).detach()
        projector = KroneckerProjector(len(w_d), len(theta0), seed=seed)
        p_Dd = torch.stack([projector.apply(unit) for unit in torch.eye(len(w_d))], dim=1).double()
        nn.utils.vector_to_parameters(theta0 + p_Dd @ torch.from_numpy(w_d).double(), self.parts.parameters())

    @torch.no_grad()
    def wrong(self, sample: str) -> list[bool]:
        pixels, labels = self.images.test_images, self.images.test_labels
        if sample != "test":
            indices = self.sets[sample]
            pixels, labels = self.images.train_images[indices], self.images.train_labels[indices]
        mean, std = (torch.tensor(values).double()[:, None, None] for values in self.statistics)
        features, logits = zip(*(expert((pixels.double() / 255 - mean) / std) for expert in self.experts), strict=True)
        average_NK = torch.stack(logits).softmax(-1).mean(0).log()
        return wrong(average_NK + self.correction(features), labels)

    def correction(self, features) -> torch.Tensor:
        """head(MLP(LN_1(x_1), ..., LN_E(x_E))), written out."""
        normed = []
        for index, feature in enumerate(features):
            centred = feature - feature.mean(1, keepdim=True)
            scaled = centred / (feature.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
            normed.append(scaled * self.fusion.norm.scale_E1d[index] + self.fusion.norm.shift_E1d[index])
        return self.head(self.fusion.mlp(torch.cat(normed, dim=1)))


def counted(prior: list[bool], model: list[bool]) -> dict[str, int]:
    """The counts of a certificate."""
    both = list(zip(prior, model, strict=True))
    return {
        "examples": len(both),
        "errors": sum(model),
        "prior_errors": sum(prior),
        "worse": sum(m and not p for p, m in both),
        "better": sum(p and not m for p, m in both),
    }
