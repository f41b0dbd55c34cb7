"""Canonical text, and digests of bytes and files."""

import hashlib

import pytest

from certifuse.base.digests import canonical_json, digest_bytes, digest_file
from certifuse.base.errors import UserError


def test_equal_values_have_one_text():
    assert canonical_json({"b": 1, "a": [1.0, "x", None]}) == '{"a":[1.0,"x",null],"b":1}'
    assert canonical_json({"b": {"d": 1, "c": 2}, "a": 3}) == canonical_json({"a": 3, "b": {"c": 2, "d": 1}})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_has_no_number_for_is_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"loss": value})


def test_digests_are_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"certifuse")
    expected = hashlib.sha256(b"certifuse").hexdigest()
    assert digest_bytes(b"certifuse") == digest_file(tmp_path / "file") == expected


def test_an_absent_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"absent: expected a file, found none"):
        digest_file(tmp_path / "absent")
