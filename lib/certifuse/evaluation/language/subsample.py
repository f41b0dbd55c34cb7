"""The documents that a bound is evaluated on: one draw, by a seed that nobody chooses.

Order of events: the bitstream is frozen and hashed, then its documents are drawn. The seed follows from the digests of
the bitstream, of the documents and of the terms of the claim, so no draw can be tried again by another seed, nor the
terms be changed after a look at it. Whoever tries many bitstreams or terms and shows the best is not caught by any
seed: that nobody did so is trusted, or all documents are scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certifuse.base.digests import digest_bytes
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


def frozen_digest(bitstream_sha256: str, documents_sha256: str, terms_sha256: str) -> str:
    """The digest of all that has to be frozen before documents are drawn: it is the seed of the draws."""
    return digest_bytes("\n".join([bitstream_sha256, documents_sha256, terms_sha256]).encode())


def draw_documents(documents: int, draws: int, frozen: str) -> Subsample:
    """`draws` of 0..documents - 1, uniformly and with replacement: for bounds on the risk of a document."""
    stream = numpy_stream(0, "certificate", "documents", frozen)
    return Subsample(stream.integers(documents, size=draws))


def draw_documents_by_length(lengths: Ints, draws: int, frozen: str) -> Subsample:
    """Documents of `draws` tokens, drawn uniformly from all and with replacement: for bounds at the level of tokens.

    The mean loss of documents drawn so, each with probability proportional to its length, has the mean loss of all
    tokens as its expectation.
    """
    ends = np.cumsum(np.asarray(lengths, dtype=np.int64))
    tokens = numpy_stream(0, "certificate", "tokens", frozen).integers(int(ends[-1]), size=draws)
    return Subsample(np.searchsorted(ends, tokens, side="right"))


def drawn_documents(documents: Documents, count: int) -> Sequence[NDArray[np.integer]]:
    """The validation documents to choose on: `count` of them or all, the same for every training of a study."""
    stream = numpy_stream(0, "sublora", "validation documents")
    chosen = np.sort(stream.permutation(len(documents))[:count])
    return [documents.document(int(index)) for index in chosen]
