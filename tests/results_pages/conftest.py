"""A results page and the files beside it: every number on the page is in them, or is said to be from elsewhere."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"(?<![A-Za-z0-9_.,])(?<![A-Za-z]-)\d+(?:,\d{3})*(?:\.\d+)?")
NOT_PROSE = re.compile(r"`[^`]*`|\]\([^)]*\)|(?:^|(?<= ))\d+\.(?= \*\*)")
"""Code, addresses of links, and the numbers of a list whose items begin in bold."""


class Page:
    """The README.md of a study below docs/results, and the files beside it."""

    def __init__(self, study: str) -> None:
        self.directory = ROOT / "docs" / "results" / study
        self.text = one_line((self.directory / "README.md").read_text(encoding="utf-8"))

    @cache  # noqa: B019 - one page lives as long as its test module
    def table(self, name: str) -> pd.DataFrame:
        """A CSV file beside the page; lambdas as text."""
        return pd.read_csv(self.directory / name, dtype={"lambda": str}, keep_default_na=False, na_values=[""])

    def rows(self, table: str, **wanted: Any) -> pd.DataFrame:
        """The rows of a table that have these values; `lam` stands for lambda."""
        found = self.table(table)
        for column, value in wanted.items():
            found = found[found["lambda" if column == "lam" else column] == value]
        assert len(found), f"{table}: no row with {wanted}"
        return found

    def row(self, table: str, **wanted: Any) -> pd.Series:
        """The one row of a table that has these values."""
        (row,) = (row for _, row in self.rows(table, **wanted).iterrows())
        return row

    def json(self, name: str) -> Any:
        return json.loads((self.directory / name).read_text(encoding="utf-8"))

    @property
    def config(self) -> Any:
        return yaml.safe_load((self.directory / "config.yaml").read_text(encoding="utf-8"))

    def images_in(self, part: str) -> int:
        """Images of one set of the splits."""
        return int(self.json("splits.json")["sets"][part]["images"])


def one_line(text: str) -> str:
    """With single spaces and without line breaks, as the page is read."""
    return " ".join(text.split())


def problems(text: str, claims: Iterable[str], elsewhere: Sequence[str]) -> Iterator[str]:
    """What is wrong with a page's text: a claim that it does not make, and a number that no claim makes.

    Args:
        claims: pieces of text with numbers from the files beside the page.
        elsewhere: pieces of the page whose numbers come from somewhere else.
    """
    vouched = bytearray(len(text))
    for piece in map(one_line, [*claims, *elsewhere]):
        places = [found.start() for found in re.finditer(re.escape(piece), text)]
        if not places:
            yield f"not on the page: {piece!r}"
        for start in places:
            vouched[start : start + len(piece)] = b"1" * len(piece)
    prose = NOT_PROSE.sub(lambda found: " " * len(found[0]), text)
    for number in NUMBER.finditer(prose):
        if not all(vouched[number.start() : number.end()]):
            yield f"from no file: {number[0]} in {text[max(0, number.start() - 40) : number.end() + 40]!r}"


def changed_numbers(text: str, claims: Iterable[str]) -> Iterator[str]:
    """The text with the last digit of one number of one claim changed, for every claim."""
    for claim in map(one_line, claims):
        at = text.index(claim) + max(number.end() for number in re.finditer(r"\d+", claim)) - 1
        yield f"{text[:at]}{(int(text[at]) + 1) % 10}{text[at + 1 :]}"


@pytest.fixture(scope="session")
def page_of() -> Any:
    """`Page`, by the name of its study."""
    return Page


@pytest.fixture(scope="session")
def check_page() -> Any:
    """Fail unless a page says what its files say; and, as a control, unless every changed claim is found out."""

    def check(text: str, claims: Sequence[str], elsewhere: Sequence[str] = ()) -> None:
        found = list(problems(text, claims, elsewhere))
        assert not found, "\n".join(found)
        for claim, changed in zip(claims, changed_numbers(text, claims), strict=True):
            assert list(problems(changed, claims, elsewhere)), f"a wrong number passes in {claim!r}"

    return check
