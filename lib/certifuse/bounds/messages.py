"""Two messages in one file. Each delimits itself, so the length that stands between them is theirs to tell and free."""

import struct

from certifuse.errors import UserError


def join_messages(first: bytes, second: bytes) -> bytes:
    """The length of the first in four bytes, then both."""
    return struct.pack(">I", len(first)) + first + second


def part_messages(data: bytes, what: str) -> tuple[bytes, bytes]:
    """The inverse of `join_messages`; UserError where there are not both messages of `what`."""
    if len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
        raise UserError(f"bitstream: expected the two messages of {what}, got {len(data)} bytes")
    (length,) = struct.unpack(">I", data[:4])
    return data[4 : 4 + length], data[4 + length :]
