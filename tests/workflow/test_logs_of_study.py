"""A study in which every rule has really run: every line of the log of a job says which job it is of."""

import re
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CELL, COORDINATES = "resnet-concatenation-1.0-0", "resnet_concatenation_lambda_1.0_seed_0"
LABELS = {
    "pretrain_expert/resnet_seed_0_expert_1": {"resnet-expert_1-seed0"},
    "finetune_experts/resnet_seed_0": {"resnet-finetuned-none-0"},
    f"train_fusion/{COORDINATES}": {CELL},
    f"evaluate_fusion/{COORDINATES}": {CELL},
    "evaluate_baselines/resnet_seed_0": {"resnet-baseline-0"},
    f"certify_subspace/{COORDINATES}_d_4": {
        *(f"{CELL}-d4-full_precision", f"{CELL}-d4-levels_3", f"{CELL}-4-3-subspace"),
    },
    f"certify_joint/{COORDINATES}": {rf"{CELL}-\d+-\d+-joint"},
    "train_sublora/d_20_learned_seed_0": {"d20-learned-s0-full_precision", "d20-learned-s0-levels_3"},
    "certify_sublora/d_20_learned_seed_0_levels_3": {"sublora-20-learned-0-3"},
    "certify_ngram/unigram": {"ngram-unigram"},
}
"""A log of each kind: architecture, fusion, lambda and seed, or what else tells its jobs apart."""


@pytest.mark.parametrize("job", LABELS)
def test_every_line_names_its_job(whole: Any, job: str) -> None:
    lines = (whole.results / "logs" / f"{job}.log").read_text(encoding="utf-8").splitlines()
    labels = {re.fullmatch(r"[\d:]{8} \[(.*?)\] .*", line).group(1) for line in lines}
    assert all(any(re.fullmatch(pattern, label) for pattern in LABELS[job]) for label in labels), labels
    assert len(labels) == len(LABELS[job])
