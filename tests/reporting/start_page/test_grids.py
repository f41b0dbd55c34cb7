"""Numbers as the tables of the start page show them: no bound is shown below what it is."""

import math
from decimal import Decimal

import pandas as pd
import pytest

from certifuse.base.errors import UserError
from certifuse.reporting.start_page.grids import entry, grid, header, read_grid


@pytest.mark.parametrize("column", ["bound_percent", "held_out_bound_percent", "zero_bit_percent", "bound_bpd_high"])
@pytest.mark.parametrize("value", [12.340000001, 12.345, 99.991, 1 / 3])
def test_an_upper_bound_is_rounded_up(column, value):
    shown = Decimal(entry(column, value, {}).text)
    assert Decimal(repr(value)) <= shown < Decimal(repr(value)) + Decimal("0.01")


def test_the_low_end_of_a_bound_is_rounded_down_and_a_measurement_to_the_nearest():
    assert entry("bound_bpd_low", 4.65238, {}).text == "4.652"
    assert entry("bound_percent", 12.341, {}).text == "12.35"
    assert entry("risk_percent", 12.341, {}).text == "12.34"


@pytest.mark.parametrize(
    ("column", "value", "row", "text"),
    [
        ("bound_percent", 100.0, {}, "100.00 (vacuous)"),
        ("bound_percent", 99.99, {}, "99.99"),
        ("bound_bpd", 8.2, {"vacuous_bpd": 8.0}, "8.200 (vacuous)"),
        ("bound_bpd", 7.2, {"vacuous_bpd": 8.0}, "7.200"),
        ("difference_points", -1.234, {}, "−1.23"),
        ("bootstrap_p_holm", 1e-9, {}, "< 0.001"),
        ("examples", 1797, {}, "1,797"),
        ("seed", 1234, {}, "1234"),
        ("delta", 0.05, {}, "0.05"),
        ("lambda", "1.0", {}, "1.0"),
        ("nll_nats_mean", 0.123456, {}, "0.1235"),
        ("nll_nats_mean", None, {}, ""),
    ],
)
def test_entries(column, value, row, text):
    assert entry(column, value, row).text == text


def test_a_column_is_sorted_by_the_number_behind_it():
    assert entry("bound_percent", 12.340001, {}).number == 12.340001
    assert entry("reason", "not trained", {}).number is None


def test_columns_without_a_value_are_left_out_and_units_stand_in_brackets():
    rows = [{"seed": 0, "top1_percent_mean": 91.0, "low": None}, {"seed": 1, "top1_percent_mean": None, "low": None}]
    shown = grid("results", "", ["seed", "top1_percent_mean", "low"], rows)
    assert shown.headers == ["seed", "top1 mean (%)"]
    assert [[one.text for one in row] for row in shown.rows] == [["0", "91.00"], ["1", ""]]
    assert header("difference_points") == "difference (points)"


def test_a_table_is_read_with_its_types(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("lambda,seeds,bound_percent,reason\n1.0,3,12.341,\n0.5,,,not trained\n")
    shown = read_grid(path, "table", "", [])
    assert [[one.text for one in row] for row in shown.rows] == [
        ["1.0", "3", "12.35", ""],
        ["0.5", "", "", "not trained"],
    ]
    assert not any(one.number is not None and math.isnan(one.number) for row in shown.rows for one in row)


def test_a_table_without_rows_is_shown_without_rows(tmp_path):
    path = tmp_path / "table.csv"
    pd.DataFrame(columns=["lambda", "seeds"]).to_csv(path, index=False)
    assert (read_grid(path, "table", "", []).headers, read_grid(path, "table", "", []).rows) == ([], [])


def test_a_changed_table_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text("seeds\n3\n")
    (tmp_path / "write_tables_manifest.json").write_text("{}")
    with pytest.raises(UserError, match="manifest"):
        read_grid(tmp_path / "table.csv", "table", "", [])
