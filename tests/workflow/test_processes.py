"""One language model by two processes of one machine, as the rule starts them."""

from typing import Any

import pytest
import torch

from certifuse.models.subspace.trained_vector import load_vector

pytestmark = pytest.mark.slow

MANIFEST = "results/sublora/d_20_learned_seed_0/manifest.json"
WEIGHTS = ("weights.safetensors", "weights_levels_3.safetensors")


def test_a_rule_of_several_processes_asks_for_a_gpu_each_and_for_their_threads(sources: Any) -> None:
    options = ("--config", 'sublora={"training": {"processes": 4}}', 'execution={"threads": 2}')
    planned = sources.snakemake("-n", "-p", "results/sublora/d_64_uniform_seed_0/manifest.json", *options)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    (command,) = [line for line in planned.stdout.splitlines() if "train_sublora.py" in line]
    assert " torchrun --standalone --nproc-per-node 4 " in command
    job = planned.stdout.split("rule train_sublora:", 1)[1]
    resources = next(line for line in job.splitlines() if line.startswith("    resources: "))
    assert {"gpu=4", "cpus_per_task=8"} <= set(resources.replace(",", "").split())


def test_a_rule_of_two_processes_starts_them_together_and_trains_what_one_does(whole: Any, tmp_path: Any) -> None:
    """Equal but for rounding, since each computes half of every batch."""
    tree = whole.copy(tmp_path / "two")
    config = tree.config()
    config["sublora"]["training"]["processes"] = 2
    tree.write_config(config)
    done = tree.snakemake(MANIFEST)
    assert done.returncode == 0, done.stdout + done.stderr
    log = (tree.results / "logs" / "train_sublora" / "d_20_learned_seed_0.log").read_text(encoding="utf-8")
    assert log.count("full_precision] stretch 1/2") == 1, "one of them reports"
    directories = [each.results / "sublora" / "d_20_learned_seed_0" for each in (whole, tree)]
    for name in WEIGHTS:
        alone, together = (load_vector(directory / name) for directory in directories)
        assert together.w_d.abs().max() > 0
        torch.testing.assert_close(together.w_d, alone.w_d, rtol=1e-3, atol=1e-6)
        assert together.structure == alone.structure
