"""Streams of texts, as a source of documents gives them."""

from collections.abc import Iterator, Mapping
from typing import Literal

Part = Literal["train", "validation"]
Streams = Mapping[Part, Iterator[str]]
"""The texts of each part; without `validation` where it is to be drawn from `train`."""
