"""Token-level bounds: a second claim, about other next tokens in the contexts of the training text.

Claim (Lotfi, Kuang, Amos and others 2024, arXiv 2407.18158): with probability 1 - delta over the
text x_1 .. x_N, for every coded hypothesis h at once,

    (1/N) sum_i E[loss_h(X_i; x_<i) | x_<i] <= (1/N) sum_i loss_h(x_i; x_<i) + width sqrt((K ln 2 + ln(1/delta)) / 2N).

On the left each context x_<i is one of the training text and only its next token is drawn again. Nothing is said about
new documents: tokens of one document depend on each other, and N of them tell less about the next document than N
independent documents would. In return no independence is assumed, not even between documents. The differences between
each loss and its conditional mean form a martingale with increments in an interval of length `width`, so Hoeffding's
inequality holds for them as it does for independent losses (Azuma 1967). Lengths are taken as given: the conditional
law knows where each document ends, and N is no random number.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from certifuse.evaluation.bounds import hoeffding
from certifuse.evaluation.bounds.betting import betting_occam
from certifuse.evaluation.bounds.decomposition import DecomposedBound, decomposed_bounds
from certifuse.evaluation.bounds.documents import PUBLISHED, SmoothedBound, check_smoothing
from certifuse.evaluation.bounds.evidence import LossSample, bpd_range
from certifuse.evaluation.bounds.hoeffding import hoeffding_penalty
from certifuse.evaluation.bounds.ledger import Ledger

CLAIM = "conditional risk at the contexts of the training text"
"""The label of these bounds wherever they are shown."""


def azuma_occam(sample: LossSample, code_bits: float, delta: float) -> DecomposedBound:
    """The published form: Hoeffding for the draws, Azuma for the step from all N = `sample.examples` tokens.

    The losses of the sample are means over documents that were drawn with probability proportional to their length
    (`draw_documents_by_length`), or losses of tokens drawn uniformly, or those of all tokens.
    """
    (bound,) = decomposed_bounds(sample, code_bits, delta, {"azuma": hoeffding.LOSSES})
    return bound


def azuma_betting_occam(sample: LossSample, code_bits: float, delta: float) -> DecomposedBound:
    """The bound of `azuma_occam` for a drawn sample, with the mean of all tokens bounded by betting on the draws."""
    share = sample.losses.size / (sample.losses.size + sample.examples)
    unit = betting_occam(sample.unit_losses, 0.0, (1.0 - share) * delta, tolerance=1e-6)
    tokens_mean = sample.from_unit(unit)
    penalty = hoeffding_penalty(code_bits, sample.examples, share * delta, sample.width)
    return DecomposedBound("azuma_betting", tokens_mean + penalty, sample.risk, tokens_mean - sample.risk)


def token_level_bounds(
    losses_NA: NDArray[np.float64],
    alphas: Sequence[float],
    vocabulary: int,
    tokens: int,
    ledger: Ledger,
    delta: float,
) -> list[SmoothedBound]:
    """`published`, `azuma` and `azuma_betting` under every smoothing, in bits per token, for the claim of this module.

    The choice of alpha is paid for as in `documents.document_bounds`.

    Args:
        losses_NA: (n, A), losses in bits per token of n documents drawn by length, under each of A smoothings.
        alphas: the A smoothings, in the order of the columns.
        vocabulary: number V of tokens.
        tokens: length N of the whole training text.
        ledger: every bit of the model, with the row of `smoothing_charge`.
        delta: probability, in (0, 1), with which a bound may fail.

    Raises:
        ValueError: shapes do not fit, a loss is outside its interval, or the ledger lacks the row of the smoothing.
    """
    choice = check_smoothing(losses_NA, alphas, ledger)
    bounds = []
    for alpha, losses_N in zip(alphas, losses_NA.T, strict=True):
        sample = LossSample(losses_N, *bpd_range(alpha, vocabulary), tokens)
        published = azuma_occam(sample, ledger.code_bits, delta)
        relabelled = DecomposedBound(PUBLISHED, published.value, published.risk, published.subsampling)
        each = (ledger.code_bits - choice.bits, delta / len(alphas))
        ours = (azuma_occam(sample, *each), azuma_betting_occam(sample, *each))
        bounds += [SmoothedBound(alpha, bound) for bound in (relabelled, *ours)]
    return bounds


def whole_text_bounds(
    risks_A: NDArray[np.float64],
    alphas: Sequence[float],
    vocabulary: int,
    tokens: int,
    ledger: Ledger,
    delta: float,
) -> list[SmoothedBound]:
    """`azuma` under every smoothing where all N tokens were scored: one step, and its ledger pays for the smoothing.

    `risks_A` are the mean losses of all tokens, (A,), in bits per token; the other arguments are those of
    `token_level_bounds`.
    """
    check_smoothing(risks_A[None], alphas, ledger)
    bounds = []
    for alpha, risk in zip(alphas, map(float, risks_A), strict=True):
        penalty = hoeffding_penalty(ledger.code_bits, tokens, delta, bpd_range(alpha, vocabulary).width)
        bounds.append(SmoothedBound(alpha, DecomposedBound("azuma", risk + penalty, risk, 0.0)))
    return bounds
