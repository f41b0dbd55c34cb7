"""Every predictor of the fusion study: its name in the tables of scores, its names in words, and how it is drawn."""

from dataclasses import dataclass
from typing import Any

FUSED, WITH_EXPERTS, OF_ITS_EXPERTS = "fused", "fused_plus_experts", "probability_average_after"
OF_CELLS = (FUSED, WITH_EXPERTS, OF_ITS_EXPERTS)
FINETUNED, PRETRAINED = "probability_average_finetuned", "probability_average_before"
"""The averages of experts that were never fused. The first is the key control of the study."""
SINGLE, WIDER = "single", "single_wider"
EXPERT = "expert_0_before"
"""The first expert stands for all in tables of costs, which are alike."""

TWO_VIEWS = "two_views"
"""The end of the name of a predictor that looks at an image and at its mirror image."""

STAGES = {"before": "pre-trained", "finetuned": "fine-tuned"}
"""The experts before fusion, by the ends of the names of what is made of them."""


@dataclass(frozen=True)
class Predictor:
    """A predictor in words, and its look: marks of cells have the colour of their rule, those of baselines are grey."""

    short: str
    """In tables and on axes."""
    long: str
    """In legends, where it stands without its context."""
    marker: str
    filled: bool = True
    line: Any = "-"


PREDICTORS = {
    FUSED: Predictor("fused", "fused", "o"),
    WITH_EXPERTS: Predictor("fused, averaged with experts", "fused, averaged with its experts", "D", filled=False),
    OF_ITS_EXPERTS: Predictor("average of its experts", "average of its experts alone", "s", filled=False),
    FINETUNED: Predictor("fine-tuned average", "average of experts fine-tuned on the fusion images", "P"),
    PRETRAINED: Predictor(
        "pre-trained average", "average of experts as pre-trained", "X", filled=False, line=(0, (6, 2))
    ),
    SINGLE: Predictor("one model, all images", "one model on all training images", "*", line=(0, (1, 1.5))),
    WIDER: Predictor(
        "one wider model, all images", "one wider model on all training images", "*", line=(0, (3, 1.5, 1, 1.5))
    ),
}
COMBINATIONS = {
    "probability_average": "probability average",
    "logit_average": "logit average",
    "stacking": "stacking",
    "majority_vote": "majority vote",
    "expert": "single experts",
    SINGLE: PREDICTORS[SINGLE].short,
    WIDER: PREDICTORS[WIDER].short,
    "oracle": "oracle (any expert right)",
}
"""What a study has beside its cells, as the rows of a figure: all stages of one combination together."""


def predictor_name(predictor: str) -> str:
    """A predictor as tables write it: `logit_average_before` is "logit average, pre-trained"."""
    one_view = predictor.removesuffix(f"_{TWO_VIEWS}")
    if one_view != predictor:
        return f"{predictor_name(one_view)}, two views"
    stem, _, stage = predictor.rpartition("_")
    if stage in STAGES:
        return f"{stem.replace('_', ' ')}, {STAGES[stage]}"
    return PREDICTORS[predictor].short if predictor in PREDICTORS else predictor.replace("_", " ")
