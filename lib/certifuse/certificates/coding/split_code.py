"""Splits as a message: for every group of weights, which of its possible splits, all in one number of mixed radix.

The number is below the product of the groups' choices. It is written in whole bits, as many as that takes; the decoder
knows the choices, so the message delimits itself.
"""

import math
from collections.abc import Sequence

from certifuse.base.errors import UserError
from certifuse.certificates.coding.bits import BitReader, BitWriter, unpack_bits
from certifuse.evaluation.bounds.ledger import Charge

ROUNDING = "splits, to a whole bit"


def encode_splits(splits: Sequence[int], ranges: Sequence[range]) -> bytes:
    """The message of one split for each group, each in the range of its group; ValueError for one that is not."""
    number = 0
    for split, choices in zip(splits, ranges, strict=True):
        number = number * len(choices) + choices.index(split)
    writer = BitWriter()
    writer.number(number, splits_bits(ranges))
    return writer.to_bytes()


def decode_splits(data: bytes, ranges: Sequence[range]) -> tuple[int, ...]:
    """The inverse of `encode_splits`; UserError for any other bytes."""
    width = splits_bits(ranges)
    if len(data) != (width + 7) // 8:
        raise UserError(f"bitstream: expected splits in {width} bits, got {len(data)} bytes")
    number = BitReader(unpack_bits(data, width)).number(width)
    places = []
    for choices in reversed(ranges):
        number, place = divmod(number, len(choices))
        places.append(choices[place])
    splits = tuple(reversed(places))
    if number or encode_splits(splits, ranges) != data:
        raise UserError("bitstream: the splits are none that their groups admit")
    return splits


def splits_bits(ranges: Sequence[range]) -> int:
    """Length of the message in bits."""
    return (math.prod(map(len, ranges)) - 1).bit_length()


def rounding_charge(ranges: Sequence[range]) -> Charge:
    """The bits by which the message, of whole bits, exceeds the choices of the groups, log2 of each."""
    return Charge(ROUNDING, max(0.0, splits_bits(ranges) - math.fsum(math.log2(len(choices)) for choices in ranges)))
