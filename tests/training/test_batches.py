"""Every index once per epoch, in an order that is a function of (seed, epoch) alone."""

import pytest
import torch

from certifuse.base.errors import UserError
from certifuse.training.epoch import epoch_batches

INDICES = torch.arange(100, 123)


def batches(seed=0, epoch=0, **options):
    return [batch.tolist() for batch in epoch_batches(INDICES, 5, seed, epoch, "cpu", **options)]


def test_each_index_once():
    assert [len(batch) for batch in batches()] == [5, 5, 5, 5, 3]
    order = [index for batch in batches() for index in batch]
    assert sorted(order) == INDICES.tolist()
    assert order != INDICES.tolist()


def test_drop_last_drops_the_short_batch_only():
    assert batches(drop_last=True) == batches()[:-1]
    whole = epoch_batches(INDICES[:20], 5, 0, 0, "cpu", drop_last=True)
    assert [len(batch) for batch in whole] == [5] * 4


def test_the_order_is_a_function_of_seed_and_epoch():
    assert batches(3, 7) == batches(3, 7)
    assert len({str(batches(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize(("indices", "drop_last"), [(INDICES[:4], True), (INDICES[:0], False)])
def test_an_epoch_without_a_batch_is_refused_at_once(indices, drop_last):
    with pytest.raises(UserError, match=f"at least one batch of 5, found {len(indices)} images"):
        epoch_batches(indices, 5, 0, 0, "cpu", drop_last=drop_last)
