"""Right or wrong, image by image, in a way that rounding cannot turn.

Shapes: N images, K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

TIE = 1e-4
"""A classifier that is asked for certificates abstains where its two best logits are this close."""


@dataclass(frozen=True, eq=False)
class Decisions:
    """`wrong_N` where the classifier errs or abstains; `near_ties`, how many images sit so near to the edge between
    right and wrong that another order of summation might move them across it."""

    wrong_N: Tensor
    near_ties: int

    @property
    def errors(self) -> int:
        """Mistakes."""
        return int(self.wrong_N.sum())

    @property
    def examples(self) -> int:
        """Images."""
        return len(self.wrong_N)


def decide(logits_NK: Tensor, labels_N: Tensor) -> Decisions:
    """Wrong unless the logit of the label exceeds every other one by more than `TIE`; logits that are no numbers err.

    Logits of different machines, thread counts or batch sizes differ by about 1e-6 of their size, so only an image
    whose margin is within `TIE` of that edge may change sides; such images are counted.
    """
    label_N = logits_NK.gather(1, labels_N[:, None])[:, 0]
    others_NK = logits_NK.scatter(1, labels_N[:, None], -torch.inf)
    margin_N = label_N - others_NK.amax(1)
    return Decisions(~(margin_N > TIE), int(((margin_N - TIE).abs() <= TIE).sum()))
