"""Claims of the certificate of a language model, derived from losses and bits alone.

The same functions serve whoever writes a certificate and whoever verifies one. Shapes: n drawn documents, A smoothings,
K cut-offs.
"""

from collections.abc import Sequence

from certifuse.certificates.language.certificate import BoundRow, LanguageClaim, TopKRow
from certifuse.evaluation.bounds import bernstein, betting, hoeffding, kl, nested_betting
from certifuse.evaluation.bounds.documents import Floats, SmoothedBound, document_bounds, top_k_bounds
from certifuse.evaluation.bounds.evidence import LossInequality
from certifuse.evaluation.bounds.ledger import Ledger
from certifuse.evaluation.bounds.token_level import CLAIM as TOKEN_CLAIM
from certifuse.evaluation.bounds.token_level import token_level_bounds
from certifuse.study.settings.sublora import SubloraBounds

REPORTED: dict[str, LossInequality] = {
    "hoeffding": hoeffding.LOSSES,
    "kl": kl.LOSSES,
    "bernstein": bernstein.LOSSES,
    "betting": betting.LOSSES,
    "nested_betting": nested_betting.LOSSES,
}
"""The inequalities for documents that a certificate reports. Further ones leave it as it is."""
HEADLINE = "nested_betting"
"""The inequality of the claim and of the top-k bounds, named before any sample was seen: it has all of delta."""
TOKEN_HEADLINE = "azuma_betting"
DOCUMENT_CLAIM = "expected loss of a new document, the mean over its tokens"


def document_rows(
    losses_nA: Floats, terms: SubloraBounds, vocabulary: int, documents: int, ledger: Ledger
) -> tuple[BoundRow, ...]:
    """The published bound and those of `REPORTED` under every smoothing.

    The losses are those of documents that were drawn uniformly from `documents`.
    """
    return _rows(document_bounds(losses_nA, terms.alphas, vocabulary, documents, ledger, terms.delta, REPORTED))


def token_rows(
    losses_nA: Floats, terms: SubloraBounds, vocabulary: int, tokens: int, ledger: Ledger
) -> tuple[BoundRow, ...]:
    """The bounds of the token-level claim, for losses of documents that were drawn by length from `tokens` tokens."""
    return _rows(token_level_bounds(losses_nA, terms.alphas, vocabulary, tokens, ledger, terms.delta))


def top_k_rows(errors_nK: Floats, terms: SubloraBounds, documents: int, ledger: Ledger) -> tuple[TopKRow, ...]:
    """The bound of every k, each at confidence 1 - delta by itself."""
    headline = {HEADLINE: nested_betting.LOSSES}
    bounds = top_k_bounds(errors_nK, terms.top_k, documents, ledger, terms.delta, headline)
    return tuple(TopKRow(k=k, risk=own.risk, bound=own.value) for k, (own,) in bounds.items())


def claims_of(bounds: Sequence[BoundRow], token_bounds: Sequence[BoundRow]) -> tuple[LanguageClaim, LanguageClaim]:
    """The claim on documents and the one at the level of tokens."""
    return _claim(bounds, HEADLINE, DOCUMENT_CLAIM), _claim(token_bounds, TOKEN_HEADLINE, TOKEN_CLAIM)


def best_rows(bounds: Sequence[BoundRow]) -> dict[str, BoundRow]:
    """The smoothing with the smallest bound for every inequality; of equal ones the first."""
    names = dict.fromkeys(row.inequality for row in bounds)
    return {
        name: min((row for row in bounds if row.inequality == name), key=lambda row: row.bound_bpd) for name in names
    }


def _claim(bounds: Sequence[BoundRow], inequality: str, about: str) -> LanguageClaim:
    row = best_rows(bounds)[inequality]
    return LanguageClaim(
        about=about, inequality=inequality, alpha=row.alpha, risk_bpd=row.risk_bpd, bound_bpd=row.bound_bpd
    )


def _rows(bounds: Sequence[SmoothedBound]) -> tuple[BoundRow, ...]:
    return tuple(
        BoundRow(
            inequality=smoothed.bound.name,
            alpha=smoothed.alpha,
            risk_bpd=smoothed.bound.risk,
            subsampling_bpd=smoothed.bound.subsampling,
            bound_bpd=smoothed.bound.value,
        )
        for smoothed in bounds
    )
