"""The bit ledger: every charge is one named row, and their sum is the K of every inequality.

The inequalities charge nothing of their own: what a decoder needs beyond the bitstream (a choice among
candidates, the length of a message that does not delimit itself) has to be a row here.
"""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Charge:
    """One row: what is paid for, and its price in bits (>= 0, not necessarily whole)."""

    name: str
    bits: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.bits < math.inf:
            raise ValueError(f"charge {self.name!r}: expected a finite number of bits >= 0, got {self.bits!r}")


@dataclass(frozen=True)
class Ledger:
    """An immutable list of charges with distinct names. `plus` returns a longer one."""

    charges: tuple[Charge, ...] = field(default=())

    def __post_init__(self) -> None:
        names = [charge.name for charge in self.charges]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"ledger: every charge needs a name of its own; repeated: {', '.join(repeated)}")

    def plus(self, *charges: Charge) -> "Ledger":
        """This ledger and further rows."""
        return Ledger(self.charges + charges)

    @property
    def code_bits(self) -> float:
        """Total K in bits."""
        return math.fsum(charge.bits for charge in self.charges)

    def rows(self) -> dict[str, float]:
        """Name to bits, in order, for `certificate.json`."""
        return {charge.name: charge.bits for charge in self.charges}


def selection_charge(name: str, candidates: int) -> Charge:
    """log2 M bits for the choice of one among M candidates that were listed before the sample was seen."""
    if candidates < 1:
        raise ValueError(f"charge {name!r}: expected at least one candidate, got {candidates!r}")
    return Charge(name, math.log2(candidates))
