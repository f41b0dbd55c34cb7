"""Tidy CSV files."""

import pytest

from certifuse.base.rows import read_rows, write_rows


def test_rows_come_back_as_text(tmp_path):
    path = tmp_path / "below" / "rows.csv"
    write_rows(path, [{"epoch": 1, "loss": 0.1, "note": 'a "quoted", one'}, {"epoch": 2, "loss": 1e-17, "note": None}])
    assert path.read_bytes().startswith(b'epoch,loss,note\n1,0.1,"a ""quoted"", one"\n2,1e-17,\n')
    assert read_rows(path)[0] == {"epoch": "1", "loss": "0.1", "note": 'a "quoted", one'}
    assert float(read_rows(path)[1]["loss"]) == 1e-17


def test_an_absent_value_is_an_empty_field(tmp_path):
    write_rows(tmp_path / "rows.csv", [{"a": 1}], columns=["a", "b"])
    assert read_rows(tmp_path / "rows.csv") == [{"a": "1", "b": ""}]


def test_no_rows_need_columns(tmp_path):
    write_rows(tmp_path / "rows.csv", [], columns=["a"])
    assert read_rows(tmp_path / "rows.csv") == []
    with pytest.raises(ValueError, match="no columns were given"):
        write_rows(tmp_path / "rows.csv", [])


def test_a_key_that_is_no_column_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "rows.csv"
    write_rows(path, [{"a": 1}])
    with pytest.raises(ValueError, match="b"):
        write_rows(path, [{"a": 1}, {"a": 2, "b": 3}])
    assert read_rows(path) == [{"a": "1"}]
