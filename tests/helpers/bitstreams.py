"""Bitstreams that nobody could have written, and the length of a number in them."""

import hashlib

from certifuse.certificates.coding.bits import BitWriter, pack_bits, unpack_bits
from certifuse.certificates.coding.codec import decode


def elias_delta_bits(number: int) -> int:
    """Elias 1975: floor(l) + 2 floor(log2(floor(l) + 1)) + 1 bits, l = log2 number."""
    exponent = number.bit_length() - 1
    return exponent + 2 * ((exponent + 1).bit_length() - 1) + 1


def claiming(numbers: int) -> bytes:
    """A sound container of less than a hundred bytes whose message says that it holds so many numbers.

    They are on three levels, and the symbols behind are one bit under a flat model: a decoder that begins with them
    finds as many as it asks for, and that the message is cut off when it has all.
    """
    writer = BitWriter()
    writer.elias_delta(numbers + 1)
    writer.elias_delta(3)
    for value, width in ((2, 2), (0x30, 7), (2, 2), (15, 4), (0, 1)):
        writer.number(value, width)
    body = b"CFQV" + bytes([1, 0]) + writer.length.to_bytes(4, "big") + writer.to_bytes()
    return body + hashlib.sha256(body).digest()


def unpaid(bitstream: bytes) -> bytes:
    """The same numbers with d and L beside the message, where nobody pays for them."""
    coded = decode(bitstream)
    sizes_bits = int(coded.charges[0].bits)
    length = int.from_bytes(bitstream[6:10], "big") - sizes_bits
    message = pack_bits(unpack_bits(bitstream[10:-32], length + sizes_bits)[sizes_bits:])
    sizes = len(coded.symbols).to_bytes(4, "big") + coded.codebook.levels.to_bytes(4, "big")
    body = b"CFQV" + bytes([1, 1]) + sizes + length.to_bytes(4, "big") + message
    return body + hashlib.sha256(body).digest()


def message_bits(bitstream: bytes) -> int:
    """The length of the message in a container: all that is paid for."""
    return int.from_bytes(bitstream[6:10], "big")


def rewrapped(bitstream: bytes, flipped: int) -> bytes:
    """The same container with one bit of its message turned, and the digest of that."""
    body = bytearray(bitstream[:-32])
    body[10 + flipped // 8] ^= 0x80 >> flipped % 8
    return bytes(body) + hashlib.sha256(body).digest()
