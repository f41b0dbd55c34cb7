"""Range coding of symbols by `constriction`, cut to the shortest string of bits that delimits itself."""

import constriction
import numpy as np
from numpy.typing import NDArray

from certifuse.base.errors import UserError
from certifuse.certificates.coding.bits import unpack_bits
from certifuse.certificates.coding.symbol_models import Floats, SymbolModel, blocks

Symbols = NDArray[np.int32]
WORD = 32
LOOKAHEAD = 3 * WORD


def _categorical(weights: Floats) -> object:
    return constriction.stream.model.Categorical(weights, perfect=False)


def _runs(length: int, model: SymbolModel) -> list[tuple[int, int]]:
    return blocks(length) if model.adaptive else [(0, length)]


def _encode_words(symbols: Symbols, model: SymbolModel, levels: int) -> str:
    encoder, seen = constriction.stream.queue.RangeEncoder(), np.zeros(levels, dtype=np.int64)
    for start, stop in _runs(len(symbols), model):
        encoder.encode(symbols[start:stop], _categorical(model.weights(seen)))
        seen += np.bincount(symbols[start:stop], minlength=levels)
    words = encoder.get_compressed()
    return unpack_bits(words.astype(">u4").tobytes(), WORD * len(words))


def _decode_words(bits: str, length: int, model: SymbolModel, levels: int) -> Symbols | None:
    """Symbols of a bit string that is continued with zeros; None where no message starts like this."""
    bits = bits.ljust(-(-len(bits) // WORD) * WORD, "0")
    words = np.frombuffer(int("0" + bits, 2).to_bytes(len(bits) // 8, "big"), dtype=">u4").astype(np.uint32)
    decoder, seen = constriction.stream.queue.RangeDecoder(words), np.zeros(levels, dtype=np.int64)
    symbols = np.empty(length, dtype=np.int32)
    try:
        for start, stop in _runs(length, model):
            symbols[start:stop] = decoder.decode(_categorical(model.weights(seen)), stop - start)
            seen += np.bincount(symbols[start:stop], minlength=levels)
    except AssertionError:
        return None
    return symbols


def _decode_whatever_follows(bits: str, length: int, model: SymbolModel, levels: int) -> Symbols | None:
    """The symbols that every continuation of `bits` decodes to; None where they depend on it, or there are none."""
    first, last = (_decode_words(bits + filler * LOOKAHEAD, length, model, levels) for filler in "01")
    return first if first is not None and last is not None and np.array_equal(first, last) else None


def encode_symbols(symbols: Symbols, model: SymbolModel, levels: int) -> str:
    """The shortest bit string such that it and every continuation of it decode to `symbols`.

    symbols: shape (d,), values below `levels`. A range coder's message is an interval; the result names a dyadic
    interval inside it, at most 2 bits longer than -log2 of the message's probability. Decoding is monotone in the
    code value, so it is enough that the continuations with all zeros and with all ones agree. No other message
    starts with such a string: for a decoder that knows d and the model it delimits itself, and its length is free.
    """

    def fits(bits: str) -> bool:
        decoded = _decode_whatever_follows(bits, len(symbols), model, levels)
        return decoded is not None and np.array_equal(decoded, symbols)

    def shortened(width: int) -> str | None:
        point = int("0" + full[:width], 2)
        for value in (point, point + 1):
            if value < 1 << width and fits(bits := format(value, f"0{width}b") if width else ""):
                return bits
        return None

    written = _encode_words(symbols, model, levels)
    full = written + "0" * (2 * WORD)
    low, high = max(0, len(written) - LOOKAHEAD) - 1, len(full)
    best = shortened(high)
    assert best is not None, "the range coder's own words must decode"
    while high - low > 1:
        middle = (low + high) // 2
        bits = shortened(middle)
        if bits is None:
            low = middle
        else:
            high, best = middle, bits
    return best


def decode_symbols(bits: str, length: int, model: SymbolModel, levels: int) -> Symbols:
    """The inverse of `encode_symbols`.

    Raises:
        UserError: `bits` are no message of this model, or one that is cut off: what a decoder would guess behind the
            end of a message is not paid for.
    """
    symbols = _decode_whatever_follows(bits, length, model, levels)
    if symbols is None:
        raise UserError("bitstream: the symbols do not decode under their model, or they are cut off")
    return symbols
