"""After Snakemake itself was killed, the same command goes on."""

import os
import signal
import time
from typing import Any

import pytest


@pytest.mark.slow
def test_after_a_kill_only_the_lock_is_in_the_way(copied: Any) -> None:
    """SIGKILL of Snakemake and its steps in the middle of a training: --unlock, then the same command works."""
    config = copied.config()
    config["pretraining"]["epochs"] = 100_000
    copied.write_config(config)
    component = copied.root / "results/experts/resnet/seed_0/expert_0_best.safetensors"
    log = copied.root / "results/logs/pretrain_expert/resnet_seed_0_expert_0.log"
    target = str(component.relative_to(copied.root))
    before = log.read_text(encoding="utf-8")
    with copied.start("snakemake", target) as process:
        try:
            deadline = time.monotonic() + 60
            while not (log.exists() and "epoch" in (text := log.read_text(encoding="utf-8")) and text != before):
                assert time.monotonic() < deadline, "the training did not start"
                assert process.poll() is None, process.communicate()
                time.sleep(0.1)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    config["pretraining"]["epochs"] = 2
    copied.write_config(config)
    locked = copied.snakemake(target)
    assert locked.returncode != 0
    assert "unlock" in locked.stdout + locked.stderr
    assert copied.snakemake("--unlock").returncode == 0
    done = copied.snakemake(target)
    assert done.returncode == 0, done.stdout + done.stderr
