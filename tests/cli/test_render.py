"""Tables and durations by value."""

import pytest

from certifuse.cli.render import count, duration, shortened, table


def test_table_by_value():
    rows = [{"name": "a", "size": "1,000", "note": None}, {"name": "long", "size": 7, "note": "x", "other": 1}]
    assert table(rows, ("name", "size", "note")) == "\n".join(
        [
            "name   size  note",
            "----  -----  ----",
            "a     1,000  -",
            "long      7  x",
        ]
    )


def test_table_without_rows():
    assert table([], ("name", "size")) == "name  size\n----  ----"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0s"), (59.6, "1m00s"), (185, "3m05s"), (3599.7, "1h00m"), (7500, "2h05m"), (90000, "25h00m")],
)
def test_duration(seconds, shown):
    assert duration(seconds) == shown


def test_count_and_shortened():
    assert count(1234567) == "1,234,567"
    assert shortened("one\n  two", 10) == "one two"
    assert shortened("x" * 11, 10) == "xxxxxxx..."
