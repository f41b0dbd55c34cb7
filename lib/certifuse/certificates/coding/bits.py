"""Strings of bits: writing, reading, and Elias's delta code for whole numbers."""

from certifuse.base.errors import UserError


class BitWriter:
    """Collects bits, most significant first."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.length = 0

    def raw(self, bits: str) -> None:
        """Append a string of '0' and '1'."""
        self._parts.append(bits)
        self.length += len(bits)

    def number(self, value: int, width: int) -> None:
        """Append `value` (0 <= value < 2^width) in `width` bits."""
        assert 0 <= value < 1 << width
        self.raw(format(value, f"0{width}b") if width else "")

    def elias_delta(self, value: int) -> None:
        """Append `value` >= 1 in the delta code of Elias 1975, "Universal codeword sets".

        It has floor(l) + 2 floor(log2(floor(l) + 1)) + 1 bits, l = log2 value: lengths that meet Kraft's inequality.
        """
        exponent = value.bit_length() - 1
        prefix = (exponent + 1).bit_length() - 1
        self.number(0, prefix)
        self.number(exponent + 1, prefix + 1)
        self.number(value - (1 << exponent), exponent)

    def to_bytes(self) -> bytes:
        """All bits, the last byte filled up with zeros."""
        return pack_bits("".join(self._parts))


class BitReader:
    """Reads what `BitWriter` wrote; UserError when the bits end too early."""

    def __init__(self, bits: str) -> None:
        self._bits = bits
        self.position = 0

    def number(self, width: int) -> int:
        """The next `width` bits as a number."""
        taken = self._bits[self.position : self.position + width]
        if len(taken) < width:
            raise UserError(f"bitstream: ends after {len(self._bits)} bits, expected {width} more at {self.position}")
        self.position += width
        return int(taken, 2) if width else 0

    def elias_delta(self) -> int:
        """The next number in Elias's delta code."""
        prefix = 0
        while self.number(1) == 0:
            prefix += 1
        exponent = ((1 << prefix) | self.number(prefix)) - 1
        rest = self.number(exponent)
        return (1 << exponent) | rest

    def rest(self) -> str:
        """All bits that are left."""
        return self._bits[self.position :]


def pack_bits(bits: str) -> bytes:
    """Eight bits a byte, most significant first, filled up with zeros."""
    size = (len(bits) + 7) // 8
    return int(bits.ljust(8 * size, "0"), 2).to_bytes(size, "big") if size else b""


def unpack_bits(data: bytes, length: int) -> str:
    """The first `length` bits of `data`."""
    return format(int.from_bytes(data, "big"), f"0{8 * len(data)}b")[:length] if length else ""
