"""The best certificate, what quoting it costs, and the dimension at which training begins to pay."""

from dataclasses import dataclass

import pandas as pd

from certifuse.evaluation.bounds.claims import coded_claim
from certifuse.evaluation.bounds.excess import PriorComparison
from certifuse.reporting.certificates.frames import PRIOR, SUBSPACE
from certifuse.reporting.frames import records, rows_with
from certifuse.reporting.tables import Row

FAMILY = ["scheme", "architecture", "fusion", "seed"]
"""What fixes the prior over codes of a trained certificate. Its d and levels are coded; lambda only steers training."""


@dataclass(frozen=True)
class Crossing:
    """The place where the trained certificates of one family pass below the 0-bit certificate of their prior.

    `row` is the best certificate at the smallest d that does, or where none does (`crosses` is False) the one that
    comes nearest; `zero_bit_percent` is None where the prior has no certificate.
    """

    row: Row
    zero_bit_percent: float | None

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
    found = []
    for (scheme, architecture, _, seed), rows in rows_with(certificates, kind=SUBSPACE).groupby(FAMILY, sort=False):
        prior = rows_with(certificates, kind=PRIOR, scheme=scheme, architecture=architecture, seed=seed)
        zero_bit = None if prior.empty else float(prior["bound_percent"].iloc[0])
        below = rows[:0] if zero_bit is None else rows[rows["bound_percent"] < zero_bit]
        candidates = rows if below.empty else rows_with(below, d=below["d"].min())
        found.append(Crossing(records(best_first(candidates))[0], zero_bit))
    return found


def count_priors(rows: pd.DataFrame) -> int:
    """The number M of priors over codes that the trained certificates were made with."""
    return len(rows_with(rows, kind=SUBSPACE)[FAMILY].drop_duplicates())


def quoted(row: Row, candidates: int) -> tuple[str, float]:
    """Inequality and certified error (percent) of a trained certificate chosen as the best of `candidates` families.

    The certificates of one family hold together at the confidence that delta says, so those of all families do where
    each has delta / `candidates`.
    """
    counts = PriorComparison(**{name: int(row[name]) for name in ("prior_errors", "worse", "better", "examples")})
    claim = coded_claim(counts, float(row["code_bits"]), float(row["delta"]) / candidates)
    return claim["inequality"], 100.0 * claim["bound"]
