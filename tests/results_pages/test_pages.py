"""Every results page is checked, and the check finds what is wrong."""

from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
PAGES = HERE.parents[1] / "docs" / "results"


def test_every_page_has_a_module_here() -> None:
    assert {path.parent.name for path in PAGES.glob("*/README.md")} == {
        path.stem.removeprefix("test_") for path in HERE.glob("test_*.py") if path != Path(__file__)
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Accuracy is 91.4 %.", "not on the page: 'is 91.3 %'"),
        ("Accuracy is 91.3 %, and 7 points more.", "from no file: 7 in"),
        ("Accuracy is 91.3 % at d = 16, and 1,024 bits.", "from no file: 1,024 in"),
    ],
)
def test_a_number_that_is_wrong_or_from_nowhere_is_found(check_page: Any, text: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_page(text, ["is 91.3 %"], ["d = 16"])


def test_code_addresses_and_names_are_no_numbers(check_page: Any) -> None:
    check_page("1. **CIFAR-100** by `seed 3`, [here](page_4.md), top-1 91.3 %.", ["91.3 %"])
