"""Windows by value against a list of all tokens; a function of (seed, step); one batch whatever the processes."""

import numpy as np
import pytest
import torch

from certifuse.base.errors import UserError
from certifuse.data.text.corpus import Documents
from certifuse.data.text.token_batches import IGNORED, draw_batch, token_stream
from certifuse.data.text.tokenisers import Vocabulary

CPU = torch.device("cpu")
BYTES = Vocabulary(tokenizer="bytes", size=256, start_token=256)
WIDE = Vocabulary(tokenizer="gpt2", size=50257, start_token=50256)
LENGTHS = [3, 1, 1, 7, 2, 40, 1, 5]


def made_documents(vocabulary, lengths=tuple(LENGTHS)):
    """Random documents over the whole vocabulary, memory-mapped tokens being read-only."""
    tokens = np.random.default_rng(0).integers(vocabulary.size, size=sum(lengths)).astype(vocabulary.dtype)
    tokens[:2] = vocabulary.size - 1, 0
    tokens.flags.writeable = False
    return Documents(tokens, np.concatenate([[0], np.cumsum(lengths)]), 0, "")


def in_a_row(documents, vocabulary):
    """All documents in a list, each after its start token."""
    return [token for i in range(len(documents)) for token in (vocabulary.start_token, *documents.document(i).tolist())]


@pytest.fixture(params=[BYTES, WIDE], ids=lambda vocabulary: vocabulary.tokenizer)
def vocabulary(request):
    return request.param


def test_every_window_equals_its_slice_of_the_list(vocabulary):
    documents = made_documents(vocabulary)
    stream, row = token_stream(documents, vocabulary, CPU), in_a_row(documents, vocabulary)
    assert len(stream) == len(row) == sum(LENGTHS) + len(LENGTHS)
    for width in (1, 2, 9, len(row)):
        first = np.arange(len(row) - width + 1)
        tokens, is_start = stream.windows(first, width)
        expected = [row[position : position + width] for position in first]
        assert tokens.tolist() == expected
        starts = np.cumsum([0, *(length + 1 for length in LENGTHS[:-1])])
        assert np.array_equal(is_start.numpy(), np.isin(first[:, None] + np.arange(width), starts))
        assert stream.count_starts(first, width) == int(is_start.sum())


def test_targets_are_the_next_inputs_and_never_a_start_token(vocabulary):
    documents = made_documents(vocabulary)
    stream, row = token_stream(documents, vocabulary, CPU), np.array(in_a_row(documents, vocabulary))
    starts = set(np.cumsum([0, *(length + 1 for length in LENGTHS[:-1])]).tolist())
    windows = {}
    for first in range(len(row) - 6):
        targets = [IGNORED if p in starts else int(row[p]) for p in range(first + 1, first + 7)]
        windows[(*row[first : first + 6].tolist(), *targets)] = sum(target != IGNORED for target in targets)
    seen = set()
    for step in range(200):
        batch = draw_batch(stream, 6, 8, seed=0, step=step, device=CPU)
        assert batch.inputs_BC.shape == batch.targets_BC.shape == (8, 6)
        assert batch.inputs_BC.dtype == batch.targets_BC.dtype == torch.int64
        pairs = [tuple(window) for window in torch.cat([batch.inputs_BC, batch.targets_BC], 1).tolist()]
        assert batch.predictions == sum(windows[pair] for pair in pairs) == (batch.targets_BC != IGNORED).sum()
        seen.update(pairs)
    assert seen == set(windows)  # the first and the last position too


def test_a_batch_is_a_function_of_seed_and_step():
    stream = token_stream(made_documents(BYTES), BYTES, CPU)

    def inputs(seed, step):
        return draw_batch(stream, 5, 4, seed, step, CPU).inputs_BC.tolist()

    assert inputs(3, 7) == inputs(3, 7)
    assert len({str(inputs(seed, step)) for seed in range(3) for step in range(3)}) == 9


@pytest.mark.parametrize("world_size", [1, 2, 3, 12])
def test_the_processes_together_draw_the_batch_of_one(world_size):
    stream = token_stream(made_documents(BYTES), BYTES, CPU)
    whole = draw_batch(stream, 5, 12, 0, 4, CPU)
    shares = [draw_batch(stream, 5, 12, 0, 4, CPU, rank, world_size) for rank in range(world_size)]
    assert torch.equal(torch.cat([share.inputs_BC for share in shares]), whole.inputs_BC)
    assert torch.equal(torch.cat([share.targets_BC for share in shares]), whole.targets_BC)
    assert {share.predictions for share in shares} == {whole.predictions}


def test_what_cannot_be_drawn_is_refused():
    stream = token_stream(made_documents(BYTES, (3, 4)), BYTES, CPU)
    assert (
        draw_batch(stream, 8, 2, 0, 0, CPU).inputs_BC.tolist()
        == [in_a_row(made_documents(BYTES, (3, 4)), BYTES)[:8]] * 2
    )
    with pytest.raises(UserError, match=r"^context: expected fewer than the 9 training tokens .*, found 9; lower it"):
        draw_batch(stream, 9, 2, 0, 0, CPU)
    with pytest.raises(UserError, match=r"^batch_size: expected a multiple of the 3 processes, found 4"):
        draw_batch(stream, 5, 4, 0, 0, CPU, 0, 3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_holds_the_tokens_and_draws_the_same(vocabulary):
    device = torch.device("cuda")
    documents = made_documents(vocabulary)
    stream = token_stream(documents, vocabulary, device)
    assert stream.tokens_S.device.type == "cuda"
    there = draw_batch(stream, 6, 8, 0, 0, device)
    here = draw_batch(token_stream(documents, vocabulary, CPU), 6, 8, 0, 0, CPU)
    assert torch.equal(there.inputs_BC.cpu(), here.inputs_BC)
    assert torch.equal(there.targets_BC.cpu(), here.targets_BC)
