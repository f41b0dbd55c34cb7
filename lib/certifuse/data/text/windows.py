"""Documents of any length as windows that fit a network's context: a part of the definition of the predictor.

A document of T tokens x_1 .. x_T has T predictions, x_t from the inputs s, x_1, .., x_{t-1}, with the start token s.
Window j sees the inputs at j stride .. j stride + context - 1 (fewer at the end) and predicts the targets that no
earlier window predicted: all in the first window, then those after its first context - stride inputs. So every target
is predicted once, from all that precedes it or from at least context - stride + 1 inputs. Only a document's first
window holds the start token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class WindowRule:
    """`stride` = `context` for windows that do not overlap, the cheapest; less for more context and more work."""

    context: int
    stride: int

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.context:
            raise ValueError(
                f"windows: expected 1 <= stride <= context, got stride {self.stride} and context {self.context}"
            )


@dataclass(frozen=True, eq=False)
class FlatDocuments:
    """All documents end to end: `inputs_S` and `targets_S` int64, document d at `offsets[d]` .. `offsets[d + 1]`."""

    inputs_S: Ints
    targets_S: Ints
    offsets: Ints


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """Windows of like length, padded at the right with the start token.

    `tokens_NT` are the inputs; `scored_NT` marks the positions to predict, and `places_S` says where each of them, row
    by row, stands among all targets.
    """

    tokens_NT: Ints
    scored_NT: NDArray[np.bool_]
    places_S: Ints


def flatten(documents: Sequence[NDArray[np.integer]], start: int, vocabulary: int) -> FlatDocuments:
    """Concatenate documents of token ids, shape (T,) each, and shift them by one for the inputs.

    Raises ValueError for a document without tokens, of another shape, or with a token outside 0..vocabulary - 1.
    """
    lengths = np.array([len(document) for document in documents], dtype=np.int64)
    if not lengths.size or not lengths.all():
        empty = f"document {int(lengths.argmin())} is empty" if lengths.size else "there is none"
        raise ValueError(f"documents: expected at least one, each with at least one token; {empty}")
    targets_S = np.concatenate([np.asarray(document) for document in documents])
    if targets_S.ndim != 1 or not np.issubdtype(targets_S.dtype, np.integer):
        raise ValueError(f"documents: expected one-dimensional whole numbers, got {targets_S.ndim}-d {targets_S.dtype}")
    targets_S = targets_S.astype(np.int64)
    if targets_S.min() < 0 or targets_S.max() >= vocabulary:
        worst = targets_S.min() if targets_S.min() < 0 else targets_S.max()
        raise ValueError(f"documents: expected tokens in 0..{vocabulary - 1}, got {worst}")
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    inputs_S = np.roll(targets_S, 1)
    inputs_S[offsets[:-1]] = start
    return FlatDocuments(inputs_S, targets_S, offsets)


def window_batches(documents: FlatDocuments, rule: WindowRule, batch_tokens: int, start: int) -> Iterator[WindowBatch]:
    """Every window once, the longest first, in batches of at most `batch_tokens` padded inputs (or of one window)."""
    firsts, lengths, skipped = _windows(documents.offsets, rule)
    order = np.argsort(-lengths, kind="stable")
    position = 0
    while position < order.size:
        longest = int(lengths[order[position]])
        chosen = order[position : position + max(1, batch_tokens // longest)]
        position += chosen.size
        column = np.arange(longest)
        inside_NT = column < lengths[chosen, None]
        places_NT = np.where(inside_NT, firsts[chosen, None] + column, 0)
        scored_NT = inside_NT & (column >= skipped[chosen, None])
        tokens_NT = np.where(inside_NT, documents.inputs_S[places_NT], start)
        yield WindowBatch(tokens_NT, scored_NT, places_NT[scored_NT])


def _windows(offsets: Ints, rule: WindowRule) -> tuple[Ints, Ints, Ints]:
    """The place of the first input of every window, its length, and how many of its inputs predict nothing new."""
    lengths = np.diff(offsets)
    counts = 1 + np.maximum(0, -(-(lengths - rule.context) // rule.stride))
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    begins = number * rule.stride
    skipped = np.where(number > 0, rule.context - rule.stride, 0)
    size = np.minimum(rule.context, np.repeat(lengths, counts) - begins)
    return np.repeat(offsets[:-1], counts) + begins, size, skipped
