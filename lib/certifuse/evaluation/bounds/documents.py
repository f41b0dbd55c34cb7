"""Bounds on a language model's loss on a new document, from the losses of drawn training documents.

Two claims: bits per token under prediction smoothing, where the best smoothing of a listed grid may be chosen after
the draw, and top-k error, which no smoothing changes. The published formula and ours stand side by side.

The choice of alpha is one row of the ledger, log2 A bits (`smoothing_charge`), charged once. That pays for it where
bits are paid: in the step from the training documents to new ones. But alpha is chosen when the draw has been seen,
so the other step, from the draw to the training documents, has to hold for all A smoothings too: ours give it
delta / A. The published formula does not; its value, named `published`, is exact where alpha was fixed before the draw
or all documents were scored. At its best alpha it does not hold at 1 - delta: it is there for comparison, and
`hoeffding` is the same formula with the choice paid for in both steps.

Whoever quotes the best of M models picks it after the draw too: each needs delta / M, in both steps (`quoted_bound`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certifuse.evaluation.bounds import hoeffding
from certifuse.evaluation.bounds.confidence import check_count
from certifuse.evaluation.bounds.decomposition import DecomposedBound, decomposed_bounds
from certifuse.evaluation.bounds.evidence import LossInequality, LossSample, bpd_range
from certifuse.evaluation.bounds.ledger import Charge, Ledger, selection_charge

Floats = NDArray[np.float64]
SMOOTHING = "smoothing alpha"
PUBLISHED = "published"


@dataclass(frozen=True)
class SmoothedBound:
    """A bound on the loss under p_alpha, in bits per token; read it against log2 V, a uniform guess."""

    alpha: float
    bound: DecomposedBound


def smoothing_charge(alphas: Sequence[float]) -> Charge:
    """log2 A bits for the choice of one of A smoothings that were listed before anything was trained."""
    return selection_charge(SMOOTHING, len(set(alphas)))


def document_bounds(
    losses_NA: Floats,
    alphas: Sequence[float],
    vocabulary: int,
    documents: int,
    ledger: Ledger,
    delta: float,
    inequalities: Mapping[str, LossInequality],
    *,
    drawn: bool = True,
) -> list[SmoothedBound]:
    """The published bound and each inequality under every smoothing, in bits per token.

    For each name except `published` of a draw the smallest value over alpha holds at confidence 1 - delta; the smallest
    over names needs delta / number of names.

    Args:
        losses_NA: (n, A), losses in bits per token of the n documents that were scored, under each of A smoothings.
        alphas: the A smoothings, in the order of the columns.
        vocabulary: number V of tokens.
        documents: number m of independent documents.
        ledger: every bit of the model, with the row of `smoothing_charge`.
        delta: probability, in (0, 1), with which a bound may fail.
        inequalities: each under the name that its bounds get.
        drawn: True where the n were drawn from the m, with replacement, after the bitstream was frozen; False where
            they are all m.

    Raises:
        ValueError: shapes do not fit, a loss is outside its interval, or the ledger lacks the row of the smoothing.
    """
    choice = check_smoothing(losses_NA, alphas, ledger)
    bounds = []
    for alpha, losses_N in zip(alphas, losses_NA.T, strict=True):
        sample = LossSample(losses_N, *bpd_range(alpha, vocabulary), documents, drawn)
        (published,) = decomposed_bounds(sample, ledger.code_bits, delta, {PUBLISHED: hoeffding.LOSSES})
        # K - log2 A bits at delta / A cost what K bits at delta cost, and bind the draw for all A smoothings.
        ours = decomposed_bounds(sample, ledger.code_bits - choice.bits, delta / len(alphas), inequalities)
        bounds += [SmoothedBound(alpha, bound) for bound in (published, *ours)]
    return bounds


def quoted_bound(
    sample: LossSample, smoothings: int, ledger: Ledger, delta: float, inequality: LossInequality, candidates: int
) -> float:
    """A model's bound as the best of `candidates` models: all of theirs hold together at confidence 1 - delta.

    Each step, from the draw to the examples and from there to new ones, holds for all candidates and for all of the
    `smoothings`, at delta / (candidates x smoothings) each. ValueError for fewer than one candidate.
    """
    check_count("candidates", candidates, 1)
    bits = ledger.code_bits - ledger.rows().get(SMOOTHING, 0.0)
    bound = inequality.drawn if sample.drawn else inequality.whole
    if bound is None:
        raise ValueError("inequality: expected one for the losses of all examples, got one for draws")
    return bound(sample, bits, delta / (candidates * smoothings))


def check_smoothing(losses_NA: Floats, alphas: Sequence[float], ledger: Ledger) -> Charge:
    """The ledger's row for the choice of alpha; ValueError where it or a column of losses is missing."""
    choice = smoothing_charge(alphas)
    if len(set(alphas)) != len(alphas) or losses_NA.ndim != 2 or losses_NA.shape[1] != len(alphas):
        raise ValueError(
            f"losses: expected one column for each of {len(alphas)} distinct alphas, got {losses_NA.shape}"
        )
    if ledger.rows().get(SMOOTHING) != choice.bits:
        raise ValueError(
            f"ledger: expected a row {SMOOTHING!r} of {choice.bits:g} bits for {len(alphas)} alphas, "
            f"got {ledger.rows().get(SMOOTHING)}"
        )
    return choice


def top_k_bounds(
    errors_NK: Floats,
    cutoffs: Sequence[int],
    documents: int,
    ledger: Ledger,
    delta: float,
    inequalities: Mapping[str, LossInequality],
    *,
    drawn: bool = True,
) -> dict[int, list[DecomposedBound]]:
    """Bounds, by k, on the share of a new document's tokens whose true token is not among the top k.

    Each value, of every k and inequality, holds at confidence 1 - delta by itself. No smoothing is chosen, so its row
    of the ledger, where there is one, is not charged. The arguments that are not listed are those of `document_bounds`.

    Args:
        errors_NK: (n, K), such shares, in [0, 1], of the n documents that were scored, for each of K cut-offs.
        cutoffs: the K values of k, in the order of the columns.
        documents: number m of independent documents.

    Raises:
        ValueError: shapes do not fit, or a share is outside [0, 1].
    """
    if errors_NK.ndim != 2 or errors_NK.shape[1] != len(cutoffs):
        raise ValueError(f"errors: expected one column for each of {len(cutoffs)} cut-offs, got {errors_NK.shape}")
    code_bits = ledger.code_bits - ledger.rows().get(SMOOTHING, 0.0)
    return {
        k: decomposed_bounds(LossSample(errors_N, 0.0, 1.0, documents, drawn), code_bits, delta, inequalities)
        for k, errors_N in zip(cutoffs, errors_NK.T, strict=True)
    }
