"""What the full grid asks of a cluster: which steps go into its queue, how many jobs, and which stay out of it."""

import re
from pathlib import Path
from typing import Any

from local_rules import local_rules

ROOT = Path(__file__).resolve().parents[2]
CELLS, FAMILIES, EXPERTS, SINGLES = 4 * 6 * 10 * 3, 4 * 3, 4, 4 * 2
SUBMITTED = {
    "pretrain_expert": FAMILIES * EXPERTS + SINGLES,
    "finetune_experts": FAMILIES,
    "train_fusion": CELLS,
    "evaluate_fusion": CELLS,
    "evaluate_baselines": FAMILIES,
}
REPORTING = {"gather": 1, "compare_cells": 1, "draw_figure": 5, "write_tables": 1, "write_start_page": 1, "all": 1}
HERE = {"prepare_images": 1, "split_images": 1} | REPORTING


def test_the_full_grid_on_slurm_is_as_many_submissions_as_the_page_says(sources: Any, count_jobs: Any) -> None:
    profile = ("--workflow-profile", "profiles/slurm", "--configfile", "config/cifar100.yaml")
    assert count_jobs(sources.snakemake("-n", *profile)) == SUBMITTED | HERE
    assert set(HERE) <= local_rules()
    assert local_rules().isdisjoint(SUBMITTED)
    (stated,) = re.findall(r"([\d,]+) submissions", (ROOT / "docs" / "slurm.md").read_text(encoding="utf-8"))
    assert int(stated.replace(",", "")) == sum(SUBMITTED.values())
