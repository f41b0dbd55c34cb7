"""Every inequality that this package has, by name, evaluated on the same evidence.

Each bound holds at confidence 1 - delta by itself. Quoting the smallest of M after seeing them all needs
delta / M, or a name fixed in advance: `binomial` for zero-one loss is never above `kl`, `catoni` or `hoeffding`.
Where the loss depends on a choice made after documents were drawn, such as the smoothing alpha, each holds for a
choice fixed before the draw only; of A that were listed, each needs delta / A.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from certifuse.base.registry import implementation, implementations
from certifuse.evaluation.bounds.claims import REPORTED
from certifuse.evaluation.bounds.confidence import check_count, check_unit_risk
from certifuse.evaluation.bounds.evidence import DocumentEvidence, ErrorCounts
from certifuse.evaluation.bounds.excess import PriorComparison

PACKAGE = "certifuse.evaluation.bounds"


@dataclass(frozen=True)
class NamedBound:
    """One upper bound on the true risk: `value` in the unit of the loss, `source` for the reader."""

    name: str
    value: float
    source: str


def count_errors(risk: float, examples: int) -> int:
    """The error count behind an error rate, rounded up unless it is a whole number to within 1e-6."""
    check_unit_risk(risk)
    check_count("examples", examples, 1)
    return min(examples, math.ceil(risk * examples - 1e-6))


def zero_one_bounds(
    errors: int, code_bits: float, examples: int, delta: float, prior: PriorComparison | None = None
) -> list[NamedBound]:
    """Bounds on an error probability, in [0, 1], from `errors` mistakes in `examples` independent trials.

    `code_bits` is the ledger's total K; each bound fails with probability `delta` at most. `prior` adds the excess-loss
    bounds; its counts must give the same `errors` and `examples` (ValueError if not).
    """
    return list(_bounds("zero_one", tuple(REPORTED), ErrorCounts(errors, examples, prior), code_bits, delta))


def bpd_bounds(seen: DocumentEvidence, code_bits: float, delta: float) -> list[NamedBound]:
    """Bounds on the expected loss of a new document, in BPD; read them against log2(vocabulary), a uniform guess.

    `code_bits` is the ledger's total K; each bound fails with probability `delta` at most.
    """
    return list(_bounds("documents", ("betting", "bernstein", "kl", "hoeffding"), seen, code_bits, delta))


def _bounds(
    form: str, first: tuple[str, ...], seen: ErrorCounts | DocumentEvidence, code_bits: float, delta: float
) -> Iterator[NamedBound]:
    """The bound of every inequality of this form that the evidence serves: `first` in their order, then the others."""
    found = implementations(PACKAGE, form)
    for name in dict.fromkeys((*first, *found)):
        value = implementation(PACKAGE, form, name, "inequality")(seen, code_bits, delta)
        if value is not None:
            yield NamedBound(name, value, implementation(PACKAGE, "SOURCE", name, "inequality"))
