"""A training that ends in its middle, by an exception that stands for whatever ends a process."""

import pytest

from certifuse.training.loop.loop import loop


class CutOffError(Exception):
    """Stands for whatever ends a process."""


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
