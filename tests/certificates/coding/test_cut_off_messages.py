"""A decoder continues a message that is cut off with zeros. What it guesses there is not paid for, so it is refused."""

import hashlib

import numpy as np
import pytest

from certifuse.base.errors import UserError
from certifuse.certificates.coding import range_code
from certifuse.certificates.coding.bits import pack_bits, unpack_bits
from certifuse.certificates.coding.codec import decode, encode
from certifuse.certificates.coding.symbol_models import choose_model
from certifuse.models.subspace.quantisation import fit_codebook


def vectors(levels: int) -> list[np.ndarray]:
    rng = np.random.default_rng(levels)
    return [rng.choice(levels, size, p=rng.dirichlet(np.ones(levels))).astype(np.int32) for size in (1, 4, 40)] * 5


@pytest.mark.parametrize("levels", [2, 3, 7])
def test_no_beginning_of_a_message_is_a_message(levels):
    """With the self-delimiting of the whole message this is Kraft's inequality for all that is ever accepted."""
    guessed = 0
    for symbols in vectors(levels):
        _, model = choose_model(symbols, levels)
        bits = range_code.encode_symbols(symbols, model, levels)
        for length in range(len(bits)):
            as_zeros = range_code._decode_words(bits[:length] + "0" * 96, len(symbols), model, levels)
            guessed += as_zeros is not None and np.array_equal(as_zeros, symbols)
            with pytest.raises(UserError, match="cut off"):
                range_code.decode_symbols(bits[:length], len(symbols), model, levels)
    assert guessed > 0, "negative control: zeros behind the end would have given the same symbols for fewer bits"


def cut(data: bytes, bits: int) -> bytes:
    """The container of the same message without its last bits, with a digest that fits."""
    length = int.from_bytes(data[6:10], "big")
    message = pack_bits(unpack_bits(data[10:-32], length)[: length - bits])
    body = data[:6] + (length - bits).to_bytes(4, "big") + message
    return body + hashlib.sha256(body).digest()


def test_a_container_that_was_cut_and_sealed_again_is_refused():
    symbols = np.random.default_rng(0).choice(3, 50, p=[0.1, 0.8, 0.1])
    data = encode(symbols, fit_codebook(np.linspace(-1, 1, 9), 3, "uniform"))
    assert decode(cut(data, 0)).symbols.tolist() == symbols.tolist()
    for bits in range(1, int.from_bytes(data[6:10], "big") + 1):
        with pytest.raises(UserError, match="bitstream: "):
            decode(cut(data, bits))
