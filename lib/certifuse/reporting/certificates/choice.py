"""The best certificate, what quoting it costs, and the dimension at which training begins to pay."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from certifuse.evaluation.bounds.claims import coded_claim
from certifuse.evaluation.bounds.excess import PriorComparison
from certifuse.reporting.certificates.frames import PRIOR, SUBSPACE

FAMILY = ["scheme", "architecture", "fusion", "seed"]
"""What fixes the prior over codes of a trained certificate. Its d and levels are coded; lambda only steers training."""


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """The place where the trained certificates of one family pass below the 0-bit certificate of their prior.

    `row` is the best certificate at the smallest d that does, or where none does (`crosses` is False) the one that
    comes nearest; `margin_points` is its bound minus the 0-bit bound, None where the prior has no certificate.
    """

    scheme: str
    architecture: str
    fusion: str
    seed: int
    zero_bit_percent: float | None
    row: Mapping[Hashable, Any]

    @property
    def margin_points(self) -> float | None:
        """The bound minus the 0-bit bound in percentage points, negative where training pays."""
        return None if self.zero_bit_percent is None else self.row["bound_percent"] - self.zero_bit_percent

    @property
    def crosses(self) -> bool:
        """True where a trained certificate is below the 0-bit one."""
        return self.margin_points is not None and self.margin_points < 0


def best_first(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows by rising certified error; of equal ones the fewest bits first."""
    return rows.sort_values(["bound_percent", "code_bits", "d", "levels"], kind="stable")


def best_per(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The best row of each group, in the order of the file."""
    return best_first(rows).drop_duplicates(columns).sort_index()


def crossings(certificates: pd.DataFrame) -> list[Crossing]:
    """One per family with a trained certificate, in the order of the file."""
    priors = certificates[certificates["kind"] == PRIOR].set_index(["scheme", "architecture", "seed"])["bound_percent"]
    found = []
    trained = certificates[certificates["kind"] == SUBSPACE]
    for (scheme, architecture, fusion, seed), rows in trained.groupby(FAMILY, sort=False):
        zero_bit = priors.get((scheme, architecture, seed))
        below = rows[rows["bound_percent"] < zero_bit] if zero_bit is not None else rows.iloc[:0]
        candidates = rows if below.empty else below[below["d"] == below["d"].min()]
        found.append(
            Crossing(
                scheme=scheme,
                architecture=architecture,
                fusion=fusion,
                seed=int(seed),
                zero_bit_percent=None if zero_bit is None else float(zero_bit),
                row=best_first(candidates).iloc[0].to_dict(),
            )
        )
    return found


def count_priors(rows: pd.DataFrame) -> int:
    """The number M of priors over codes that the trained certificates were made with."""
    return len(rows[rows["kind"] == SUBSPACE][FAMILY].drop_duplicates())


def quoted(row: Mapping[Hashable, Any], candidates: int) -> tuple[str, float]:
    """Inequality and certified error (percent) of a trained certificate chosen as the best of `candidates` families.

    The certificates of one family hold together at the confidence that delta says, so those of all families do where
    each has delta / `candidates`.
    """
    counts = PriorComparison(**{name: int(row[name]) for name in ("prior_errors", "worse", "better", "examples")})
    claim = coded_claim(counts, float(row["code_bits"]), float(row["delta"]) / candidates)
    return claim["inequality"], 100.0 * claim["bound"]
