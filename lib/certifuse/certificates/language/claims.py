"""Claims of the certificate of a language model, derived from losses and bits alone.

The same functions serve whoever writes a certificate and whoever verifies one. Shapes: n scored documents, drawn or
all, A smoothings, K cut-offs.
"""

from collections.abc import Sequence

from certifuse.base.errors import UserError
from certifuse.certificates.language.certificate import (
    BestOfRow,
    BoundRow,
    LanguageCertificate,
    LanguageClaim,
    TopKRow,
)
from certifuse.evaluation.bounds import bernstein, betting, hoeffding, kl, nested_betting
from certifuse.evaluation.bounds.documents import (
    Floats,
    SmoothedBound,
    document_bounds,
    quoted_bound,
    top_k_bounds,
)
from certifuse.evaluation.bounds.evidence import LossInequality, LossSample, bpd_range
from certifuse.evaluation.bounds.ledger import Ledger
from certifuse.evaluation.bounds.token_level import CLAIM as TOKEN_CLAIM
from certifuse.evaluation.bounds.token_level import token_level_bounds, whole_text_bounds
from certifuse.study.settings.sublora import SubloraBounds

REPORTED: dict[str, LossInequality] = {
    "hoeffding": hoeffding.LOSSES,
    "kl": kl.LOSSES,
    "bernstein": bernstein.LOSSES,
    "betting": betting.LOSSES,
    "nested_betting": nested_betting.LOSSES,
}
"""The inequalities for documents that a certificate reports. Further ones leave it as it is."""
HEADLINE, WHOLE_HEADLINE = "nested_betting", "betting"
"""The inequality of the claim and of the top-k bounds, for a draw and for all documents. It was named before any sample
was seen: it has all of delta."""
TOKEN_HEADLINE, WHOLE_TOKEN_HEADLINE = "azuma_betting", "azuma"
CANDIDATES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Numbers M of certificates for which it is said what one is as the best of them."""
DOCUMENT_CLAIM = "expected loss of a new document, the mean over its tokens"


def document_rows(
    losses_nA: Floats, terms: SubloraBounds, vocabulary: int, documents: int, ledger: Ledger
) -> tuple[BoundRow, ...]:
    """The published bound and those of `REPORTED` under every smoothing.

    The losses are those of documents that were drawn uniformly from `documents`, or of all.
    """
    reported = {name: own for name, own in REPORTED.items() if own.whole or not terms.whole}
    drawn, alphas = not terms.whole, terms.alphas
    return _rows(document_bounds(losses_nA, alphas, vocabulary, documents, ledger, terms.delta, reported, drawn=drawn))


def token_rows(
    losses_nA: Floats, terms: SubloraBounds, vocabulary: int, tokens: int, ledger: Ledger
) -> tuple[BoundRow, ...]:
    """The bounds of the token-level claim, for losses of documents that were drawn by length from `tokens` tokens."""
    return _rows(token_level_bounds(losses_nA, terms.alphas, vocabulary, tokens, ledger, terms.delta))


def whole_token_rows(
    risks_A: Floats, terms: SubloraBounds, vocabulary: int, tokens: int, ledger: Ledger
) -> tuple[BoundRow, ...]:
    """The bounds of the token-level claim from the mean losses of all tokens."""
    return _rows(whole_text_bounds(risks_A, terms.alphas, vocabulary, tokens, ledger, terms.delta))


def best_of_rows(
    losses_n: Floats, alpha: float, terms: SubloraBounds, vocabulary: int, documents: int, ledger: Ledger
) -> tuple[BestOfRow, ...]:
    """The bound of the claim, under its smoothing, as the best of each of `CANDIDATES` certificates."""
    sample = LossSample(losses_n, *bpd_range(alpha, vocabulary), documents, not terms.whole)
    inequality, smoothings = REPORTED[headline(terms)], len(terms.alphas)
    return tuple(
        BestOfRow(
            candidates=candidates,
            bound_bpd=quoted_bound(sample, smoothings, ledger, terms.delta, inequality, candidates),
        )
        for candidates in CANDIDATES
    )


def as_best_of(certificate: LanguageCertificate, candidates: int) -> float | None:
    """The bound of a certificate as the best of so many; None where that is more than it says a bound for.

    For a number between two of `CANDIDATES` it is that of the larger.
    """
    if candidates == 1:
        return certificate.claim.bound_bpd
    return next((row.bound_bpd for row in certificate.best_of if row.candidates >= candidates), None)


def headline(terms: SubloraBounds) -> str:
    """The inequality of the claim."""
    return WHOLE_HEADLINE if terms.whole else HEADLINE


def top_k_rows(errors_nK: Floats, terms: SubloraBounds, documents: int, ledger: Ledger) -> tuple[TopKRow, ...]:
    """The bound of every k, each at confidence 1 - delta by itself."""
    named = {headline(terms): REPORTED[headline(terms)]}
    bounds = top_k_bounds(errors_nK, terms.top_k, documents, ledger, terms.delta, named, drawn=not terms.whole)
    return tuple(TopKRow(k=k, risk=own.risk, bound=own.value) for k, (own,) in bounds.items())


def claims_of(
    bounds: Sequence[BoundRow], token_bounds: Sequence[BoundRow], terms: SubloraBounds
) -> tuple[LanguageClaim, LanguageClaim]:
    """The claim on documents and the one at the level of tokens. UserError where the bounds lack its inequality."""
    of_tokens = WHOLE_TOKEN_HEADLINE if terms.whole else TOKEN_HEADLINE
    return _claim(bounds, headline(terms), DOCUMENT_CLAIM), _claim(token_bounds, of_tokens, TOKEN_CLAIM)


def best_rows(bounds: Sequence[BoundRow]) -> dict[str, BoundRow]:
    """The smoothing with the smallest bound for every inequality; of equal ones the first."""
    names = dict.fromkeys(row.inequality for row in bounds)
    return {
        name: min((row for row in bounds if row.inequality == name), key=lambda row: row.bound_bpd) for name in names
    }


def _claim(bounds: Sequence[BoundRow], inequality: str, about: str) -> LanguageClaim:
    best = best_rows(bounds)
    if inequality not in best:
        raise UserError(f"bounds: expected one by {inequality}, found {', '.join(best) or 'none'}")
    row = best[inequality]
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
