"""Training batches: windows of the documents of one part, a pure function of (seed, step).

The documents stand one behind the other, each after its start token. A window is `context` + 1 tokens in a row from a
uniformly drawn position: inputs are all but the last, targets all but the first, and where the target would be a start
token it is `IGNORED`, so that a document's end is never predicted and every token of a document is a target.

Shape suffixes: N documents, S tokens, B windows of one process, C context.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certifuse.base.errors import UserError
from certifuse.base.randomness import numpy_stream
from certifuse.data.text.corpus import Documents
from certifuse.data.text.tokenisers import Vocabulary

IGNORED = -100
"""The target that cross entropy passes over; torch's own default."""


@dataclass(frozen=True, eq=False)
class TokenStream:
    """The documents of one part in a row. Position `starts_N[i]` holds the start token of document i.

    `tokens_S` are `uint8`, or the bits of `uint16` as `int16`, which more of torch's kernels take.
    """

    tokens_S: Tensor
    starts_N: NDArray[np.int64]
    device_starts_N: Tensor
    start_token: int

    def __len__(self) -> int:
        """Tokens and start tokens."""
        return len(self.tokens_S) + len(self.starts_N)

    def windows(self, first_B: NDArray[np.int64], width: int) -> tuple[Tensor, Tensor]:
        """Tokens int64 (B, width) from each first position on, and where they are start tokens, bool (B, width)."""
        device = self.tokens_S.device
        positions = torch.from_numpy(first_B).to(device)[:, None] + torch.arange(width, device=device)
        documents = torch.searchsorted(self.device_starts_N, positions, right=True) - 1
        is_start = positions == self.device_starts_N[documents]
        stored = self.tokens_S[(positions - documents - 1).clamp_(min=0)]
        tokens = stored.long().bitwise_and_(0xFFFF)
        return tokens.masked_fill_(is_start, self.start_token), is_start

    def count_starts(self, first_B: NDArray[np.int64], width: int) -> int:
        """The number of start tokens that the windows hold, found on the host."""
        ends = np.searchsorted(self.starts_N, first_B + width)
        return int((ends - np.searchsorted(self.starts_N, first_B)).sum())


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Inputs and targets int64 (B, C) of one process; `predictions` counts the targets of all processes together.

    A sum of losses over the targets, divided by `predictions` and added up over the processes, is the loss of the step,
    whatever their number.
    """

    inputs_BC: Tensor
    targets_BC: Tensor
    predictions: int


def token_stream(documents: Documents, vocabulary: Vocabulary, device: torch.device) -> TokenStream:
    """The documents on `device` if half of its free memory holds them; otherwise they stay in their memory map."""
    tokens_S = documents.tokens if vocabulary.dtype.itemsize == 1 else documents.tokens.view(np.int16)
    with warnings.catch_warnings(action="ignore"):  # the memory map is read-only, and nothing here writes to it
        stored_S = torch.from_numpy(tokens_S)
    if device.type == "cuda" and stored_S.nbytes <= torch.cuda.mem_get_info(device)[0] // 2:
        stored_S = stored_S.to(device)
    starts_N = documents.offsets[:-1] + np.arange(len(documents))
    return TokenStream(stored_S, starts_N, torch.from_numpy(starts_N).to(stored_S.device), vocabulary.start_token)


def window_starts(stream: TokenStream, context: int, batch_size: int, seed: int, step: int) -> NDArray[np.int64]:
    """The first positions of the windows of `step`.

    Raises:
        UserError: there is no window of that width.
    """
    positions = len(stream) - context
    if positions < 1:
        raise UserError(
            f"context: expected fewer than the {len(stream)} training tokens (with start tokens), found {context}; "
            "lower it, or add documents"
        )
    return numpy_stream(seed, "token_batches", step).integers(positions, size=batch_size)


def draw_batch(
    stream: TokenStream,
    context: int,
    batch_size: int,
    seed: int,
    step: int,
    device: torch.device,
    rank: int = 0,
    world_size: int = 1,
) -> TokenBatch:
    """The share of process `rank` in the `batch_size` windows of `step`: in order of rank, they are the whole batch.

    Raises:
        UserError: `world_size` does not divide `batch_size`, or there is no window of that width.
    """
    if batch_size % world_size != 0:
        raise UserError(f"batch_size: expected a multiple of the {world_size} processes, found {batch_size}; change it")
    first = window_starts(stream, context, batch_size, seed, step)
    share = batch_size // world_size
    tokens, is_start = stream.windows(first[rank * share : (rank + 1) * share], context + 1)
    targets_BC = tokens[:, 1:].masked_fill(is_start[:, 1:], IGNORED)
    predictions = batch_size * context - stream.count_starts(first + 1, context)
    return TokenBatch(tokens[:, :-1].to(device), targets_BC.to(device), predictions)
