"""A training that ends in its middle, by an exception that stands for whatever ends a process."""

import pytest

from certifuse.training.loop import loop

MEASURED = {"best_row", "best_rows", "environment", "peak_memory_bytes", "resumed_after_epochs", "training_wall_s"}
MEASURED |= {"started", "finished", "wall_s", "manifest_sha256"}


class CutOffError(Exception):
    """Stands for whatever ends a process."""


def unmeasured(manifest):
    """What a manifest says but for when and how fast the training ran; the logs say that too."""
    written = {path: digest for path, digest in manifest["outputs_sha256"].items() if not path.endswith(".csv")}
    return {key: value for key, value in manifest.items() if key not in MEASURED} | {"outputs_sha256": written}


def cut_off(training, monkeypatch, writes):
    """Train until the log is written for that time: after an epoch (or at the end), before its state is stored."""
    write, count = loop.write_rows, []

    def failing(path, rows):
        count.append(path)
        if len(count) == writes:
            raise CutOffError
        write(path, rows)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_rows", failing)
        with pytest.raises(CutOffError):
            training.train()
