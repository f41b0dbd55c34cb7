"""The seal of a JSON object: what it lets through, and what it notices."""

import hashlib
import json
import math
from typing import Any

import pytest

from certifuse.base.sealed import SealError, sealed, unsealed

CONTENT = {"b": [1, 2.5, None], "a": {"x": True}}


def test_the_seal_is_the_sha256_of_the_sorted_json_without_spaces() -> None:
    expected = hashlib.sha256(b'{"a":{"x":true},"b":[1,2.5,null]}').hexdigest()
    assert sealed(CONTENT, "seal") == CONTENT | {"seal": expected}


def test_content_comes_back_as_it_was_whatever_the_order_of_its_keys() -> None:
    text = json.dumps(sealed(CONTENT, "seal"), indent=4)
    assert unsealed(json.loads(text), "seal") == CONTENT
    assert unsealed(dict(reversed(sealed(CONTENT, "seal").items())), "seal") == CONTENT


def test_keys_that_are_numbers_are_sealed_as_the_text_that_json_makes_of_them() -> None:
    by_number: dict[Any, Any] = {"levels": {2: "a", 10: "b"}}
    record = json.loads(json.dumps(sealed(by_number, "seal")))
    assert unsealed(record, "seal") == {"levels": {"2": "a", "10": "b"}}


@pytest.mark.parametrize(
    "record",
    [
        sealed(CONTENT, "seal") | {"a": {"x": False}},
        sealed(CONTENT, "seal") | {"c": 1},
        {key: value for key, value in sealed(CONTENT, "seal").items() if key != "b"},
        sealed(CONTENT, "seal") | {"seal": "0" * 64},
        sealed(CONTENT, "seal") | {"seal": None},
        sealed(CONTENT, "seal") | {"a": math.nan},
        CONTENT,
        [sealed(CONTENT, "seal")],
        None,
    ],
)
def test_whatever_else_is_refused(record: Any) -> None:
    with pytest.raises(SealError):
        unsealed(record, "seal")


def test_what_cannot_be_sealed_is_refused() -> None:
    with pytest.raises(ValueError, match="expected content without the key 'seal'"):
        sealed(sealed(CONTENT, "seal"), "seal")
    with pytest.raises(ValueError, match="JSON compliant"):
        sealed({"loss": math.nan}, "seal")
