"""The bitstream of a quantised vector: what was written is what is charged.

Container (bytes): magic "CFQV", version, zero, message length in bits as u32, the message, SHA-256 of all before.
Message (bits): d + 1 and L in Elias's delta code, codebook kind (2), its parameters, model kind (2), its parameters
(4 each), range-coded symbols; the model and the symbols are absent where d = 0 or L = 1.

Only the message is charged. It delimits itself (see `range_code`); everything around it is constant or a function of
the message, so nothing else is needed to decode.
"""

import hashlib
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certifuse.base.errors import UserError
from certifuse.certificates.coding.bits import BitReader, BitWriter, unpack_bits
from certifuse.certificates.coding.range_code import Symbols, decode_symbols, encode_symbols
from certifuse.certificates.coding.symbol_models import PARAMETER_BITS as MODEL_PARAMETER_BITS
from certifuse.certificates.coding.symbol_models import choose_model, model_parameters, restore_model
from certifuse.evaluation.bounds.ledger import Charge
from certifuse.models.subspace.codebook import KINDS, PARAMETER_BITS, Codebook, parameter_count

MAGIC = b"CFQV"
VERSION = bytes([1, 0])
DIGEST_BYTES = 32
LONGEST = 1 << 28
"""Numbers that anybody who verifies a certificate can be asked to hold: a gigabyte."""


@dataclass(frozen=True)
class CodedVector:
    """A decoded bitstream: symbols of shape (d,), their codebook, and the message's length by section."""

    symbols: Symbols
    codebook: Codebook
    charges: tuple[Charge, ...]

    @property
    def values(self) -> NDArray[np.float32]:
        """The quantised vector, shape (d,)."""
        return self.codebook.centroids[self.symbols]


def encode(symbols: ArrayLike, codebook: Codebook) -> bytes:
    """The bitstream of whole numbers 0 <= symbol < codebook.levels; ValueError for any other."""
    array = np.asarray(symbols)
    whole = array.size == 0 or np.issubdtype(array.dtype, np.integer)
    if array.ndim != 1 or not whole or (array.size and not (array.min() >= 0 and array.max() < codebook.levels)):
        raise ValueError(f"symbols: expected one dimension of whole numbers below {codebook.levels}")
    if len(array) > LONGEST:
        raise ValueError(f"symbols: expected at most {LONGEST} of them, got {len(array)}")
    array = array.astype(np.int32)
    writer = BitWriter()
    writer.elias_delta(len(array) + 1)
    writer.elias_delta(codebook.levels)
    writer.number(KINDS.index(codebook.kind), 2)
    for parameter in codebook.parameters:
        writer.number(parameter, PARAMETER_BITS[codebook.kind])
    if len(array) and codebook.levels > 1:
        index, model = choose_model(array, codebook.levels)
        writer.number(index, 2)
        for parameter in model.parameters:
            writer.number(parameter, MODEL_PARAMETER_BITS)
        writer.raw(encode_symbols(array, model, codebook.levels))
    body = MAGIC + VERSION + struct.pack(">I", writer.length) + writer.to_bytes()
    return body + hashlib.sha256(body).digest()


def decode(data: bytes, longest: int = LONGEST) -> CodedVector:
    """The vector of a bitstream, with its charges; UserError for any byte that is not as it was written.

    A hundred bytes can say that they hold billions of numbers, and do: more than `longest`, the greatest d that can be
    right, are refused before they take time and memory.
    """
    reader = BitReader(_message(data))
    length, levels = reader.elias_delta() - 1, reader.elias_delta()
    if length > longest:
        raise UserError(f"bitstream: expected at most {longest} numbers, got {length}")
    charges = [Charge("sizes", reader.position)]
    codebook = _read_codebook(reader, levels)
    charges.append(Charge("codebook", reader.position - charges[0].bits))
    symbols = np.zeros(length, dtype=np.int32)
    before_model = reader.position
    if length and levels > 1:
        index = reader.number(2)
        if index > 2:
            raise UserError("bitstream: unknown symbol model 3")
        parameters = tuple(reader.number(MODEL_PARAMETER_BITS) for _ in range(model_parameters(index, levels)))
        model = restore_model(index, parameters, levels)
        symbols = decode_symbols(reader.rest(), length, model, levels)
    charges.append(Charge("symbol model", reader.position - before_model))
    charges.append(Charge("symbols", len(reader.rest())))
    return CodedVector(symbols, codebook, tuple(charges))


def _read_codebook(reader: BitReader, levels: int) -> Codebook:
    index = reader.number(2)
    if index >= len(KINDS):
        raise UserError(f"bitstream: unknown codebook kind {index}")
    kind = KINDS[index]
    parameters = tuple(reader.number(PARAMETER_BITS[kind]) for _ in range(parameter_count(kind, levels)))
    try:
        return Codebook(kind, levels, parameters)
    except ValueError as error:
        raise UserError(f"bitstream: {error}") from None


def _message(data: bytes) -> str:
    """The bits of the message in a container whose every byte has been checked."""
    head = len(MAGIC) + len(VERSION)
    body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if len(data) < head + 4 + DIGEST_BYTES or data[: len(MAGIC)] != MAGIC:
        raise UserError(f"bitstream: expected at least {head + 4 + DIGEST_BYTES} bytes that start with {MAGIC!r}")
    if hashlib.sha256(body).digest() != digest:
        raise UserError("bitstream: its bytes differ from those that were written (SHA-256 mismatch)")
    if body[len(MAGIC) : head] != VERSION:
        expected, found = VERSION.hex(), body[len(MAGIC) : head].hex()
        raise UserError(f"bitstream: expected version {expected}, with sizes in the message, got {found}")
    (length,) = struct.unpack(">I", body[head : head + 4])
    message = body[head + 4 :]
    if len(message) != (length + 7) // 8:
        raise UserError(f"bitstream: expected a message of {length} bits, got {len(message)} bytes")
    return unpack_bits(message, length)


def join_messages(first: bytes, second: bytes) -> bytes:
    """The length of the first in four bytes, then both."""
    return struct.pack(">I", len(first)) + first + second


def part_messages(data: bytes, what: str) -> tuple[bytes, bytes]:
    """The inverse of `join_messages`; UserError where there are not both messages of `what`."""
    if len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
        raise UserError(f"bitstream: expected the two messages of {what}, got {len(data)} bytes")
    (length,) = struct.unpack(">I", data[:4])
    return data[4 : 4 + length], data[4 + length :]
