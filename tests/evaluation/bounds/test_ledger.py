import math

import pytest

from certifuse.evaluation.bounds.ledger import Charge, Ledger, selection_charge


def test_a_ledger_adds_up():
    ledger = Ledger().plus(Charge("symbols", 1200), selection_charge("d among 9", 9)).plus(Charge("alpha", 3.5))
    assert ledger.code_bits == pytest.approx(1200 + math.log2(9) + 3.5)
    assert ledger.rows() == {"symbols": 1200, "d among 9": math.log2(9), "alpha": 3.5}
    assert list(ledger.rows()) == ["symbols", "d among 9", "alpha"]
    assert Ledger().code_bits == 0.0


def test_rows_need_names_of_their_own_and_sensible_prices():
    with pytest.raises(ValueError, match="repeated: alpha"):
        Ledger((Charge("alpha", 1.0), Charge("alpha", 2.0)))
    for bits in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="'gates'"):
            Charge("gates", bits)
    with pytest.raises(ValueError, match="candidate"):
        selection_charge("seed", 0)
