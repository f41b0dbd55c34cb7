"""The documents that a bound is evaluated on: one draw, from a seed that was fixed before anything was trained.

Order of events: the bitstream is frozen and hashed, then its documents are drawn. The seed is configuration and the
stream is used for nothing else, so the draw is independent of the hypothesis and cannot be re-rolled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certifuse.base.randomness import numpy_stream
from certifuse.data.text.corpus import Documents

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Subsample:
    """`drawn` (n,): indices of documents in the order of the draw, with replacement."""

    drawn: Ints

    @property
    def distinct(self) -> Ints:
        """The documents that have to be scored, ascending."""
        return np.unique(self.drawn)

    def spread(self, scores_of_distinct: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores (distinct, ...) of the distinct documents, repeated as drawn, (n, ...)."""
        return np.asarray(scores_of_distinct[np.searchsorted(self.distinct, self.drawn)])


def draw_documents(documents: int, draws: int, seed: int) -> Subsample:
    """`draws` of 0..documents - 1, uniformly and with replacement: for bounds on the risk of a document."""
    stream = numpy_stream(seed, "certificate", "documents")
    return Subsample(stream.integers(documents, size=draws))


def draw_documents_by_length(lengths: Ints, draws: int, seed: int) -> Subsample:
    """Documents of `draws` tokens, drawn uniformly from all and with replacement: for bounds at the level of tokens.

    The mean loss of documents drawn so, each with probability proportional to its length, has the mean loss of all
    tokens as its expectation.
    """
    ends = np.cumsum(np.asarray(lengths, dtype=np.int64))
    tokens = numpy_stream(seed, "certificate", "tokens").integers(int(ends[-1]), size=draws)
    return Subsample(np.searchsorted(ends, tokens, side="right"))


def drawn_documents(documents: Documents, count: int) -> Sequence[NDArray[np.integer]]:
    """The validation documents to choose on: `count` of them or all, the same for every training of a study."""
    stream = numpy_stream(0, "sublora", "validation documents")
    chosen = np.sort(stream.permutation(len(documents))[:count])
    return [documents.document(int(index)) for index in chosen]
