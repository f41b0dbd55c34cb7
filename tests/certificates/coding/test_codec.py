import math

import numpy as np
import pytest
from bitstreams import claiming, elias_delta_bits, unpaid
from hypothesis import example, given, settings
from hypothesis import strategies as st

from certifuse.base.errors import UserError
from certifuse.certificates.coding import range_code
from certifuse.certificates.coding.bits import BitReader, BitWriter, unpack_bits
from certifuse.certificates.coding.codec import decode, encode
from certifuse.certificates.coding.symbol_models import choose_model, restore_model
from certifuse.models.subspace.codebook import nearest_level
from certifuse.models.subspace.quantisation import fit_codebook, quantise


def entropy_bits(symbols, levels):
    counts = np.bincount(symbols, minlength=levels)
    share = counts[counts > 0] / max(1, len(symbols))
    return -len(symbols) * float((share * np.log2(share)).sum()) if len(symbols) else 0.0


@st.composite
def coded_vectors(draw):
    """Symbols of any skew, and a codebook of any kind."""
    levels, length, seed = draw(st.integers(1, 40)), draw(st.integers(0, 300)), draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(levels, draw(st.sampled_from([0.02, 0.3, 5.0]))))
    symbols = rng.choice(levels, size=length, p=shares)
    kind = draw(st.sampled_from(["free", "symmetric", "uniform"]))
    return symbols, fit_codebook(rng.standard_normal(50), levels, kind)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(coded_vectors())
def test_decoding_gives_back_what_was_encoded(vector):
    symbols, codebook = vector
    decoded = decode(encode(symbols, codebook))
    assert np.array_equal(decoded.symbols, symbols)
    assert decoded.codebook == codebook
    assert decoded.values.tobytes() == codebook.centroids[symbols].tobytes()


@pytest.mark.parametrize("length", [0, 1, 2, 31, 5000])
@pytest.mark.parametrize("levels", [1, 2, 11, 3000])
def test_single_symbols_and_extremes(length, levels):
    codebook = fit_codebook(np.linspace(-1, 1, 50), levels, "uniform")
    for symbol in {0, levels - 1}:
        decoded = decode(encode(np.full(length, symbol), codebook))
        assert np.array_equal(decoded.symbols, np.full(length, symbol))


def test_values_survive_quantisation_and_coding_to_the_bit():
    values = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    codebook = fit_codebook(values, 11)
    assert (
        decode(encode(nearest_level(values, codebook), codebook)).values.tobytes()
        == quantise(values, codebook).tobytes()
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(coded_vectors())
def test_the_charges_are_the_length_of_the_message(vector):
    symbols, codebook = vector
    data = encode(symbols, codebook)
    charged = {charge.name: charge.bits for charge in decode(data).charges}
    assert sum(charged.values()) == int.from_bytes(data[6:10], "big")
    assert charged["sizes"] == elias_delta_bits(len(symbols) + 1) + elias_delta_bits(codebook.levels)
    assert charged["codebook"] == 2 + codebook.bits


@pytest.mark.parametrize("length", [16, 200, 5000])
@pytest.mark.parametrize("skew", [0.2, 1.0, 20.0])
def test_length_is_near_the_entropy_and_below_a_fixed_width(length, skew):
    rng = np.random.default_rng(length)
    symbols = rng.choice(11, size=length, p=rng.dirichlet(np.full(11, skew)))
    charged = {c.name: c.bits for c in decode(encode(symbols, fit_codebook(rng.standard_normal(99), 11))).charges}
    spent = charged["symbol model"] + charged["symbols"]
    ideal = entropy_bits(symbols, 11)
    assert ideal - 1 <= spent <= min(ideal + 5 * math.log2(length) + 12, length * math.log2(11) + 8)


def test_each_model_is_the_shortest_somewhere():
    rng = np.random.default_rng(0)
    long = rng.choice(11, size=20_000, p=rng.dirichlet(np.ones(11))).astype(np.int32)
    bell = np.clip(np.rint(rng.normal(5, 1.2, 60)), 0, 10).astype(np.int32)
    two_ends = np.repeat([0, 1, 2, 3, 4, 5, 6, 7], [64, 1, 1, 1, 1, 1, 1, 64]).astype(np.int32)
    chosen = [choose_model(symbols, levels)[0] for symbols, levels in ((long, 11), (two_ends, 8), (bell, 11))]
    assert chosen == [0, 1, 2]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(coded_vectors(), st.text("01", max_size=150))
def test_messages_delimit_themselves(vector, continuation):
    """Whatever follows, the symbols decode: no message is the beginning of another, so the length is not charged."""
    symbols, codebook = vector
    if len(symbols) == 0 or codebook.levels == 1:
        return
    symbols = symbols.astype(np.int32)
    index, model = choose_model(symbols, codebook.levels)
    bits = range_code.encode_symbols(symbols, model, codebook.levels)
    restored = restore_model(index, model.parameters, codebook.levels)
    again = range_code.decode_symbols(bits + continuation, len(symbols), restored, codebook.levels)
    assert np.array_equal(again, symbols)


def test_lengths_meet_the_kraft_inequality():
    """Over all messages of three symbols of three levels, under each model: sum 2^-length <= 1."""
    every = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3).astype(np.int32)
    for index, parameters in ((0, ()), (1, (0, 3, 9)), (2, (2,))):
        model = restore_model(index, parameters, 3)
        lengths = [len(range_code.encode_symbols(symbols, model, 3)) for symbols in every]
        assert sum(2.0**-length for length in lengths) <= 1.0


def test_every_flipped_bit_and_every_truncation_is_caught():
    data = encode(np.arange(30) % 5, fit_codebook(np.linspace(-1, 1, 9), 5))
    for position in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(UserError, match="bitstream") as caught:
            decode(bytes(damaged))
        assert "\n" not in str(caught.value)
    for length in range(len(data)):
        with pytest.raises(UserError, match="bitstream"):
            decode(data[:length])
    with pytest.raises(UserError, match="bitstream"):
        decode(data + b"\0")


def test_sizes_beside_the_message_are_refused():
    data = encode(np.arange(30) % 5, fit_codebook(np.linspace(-1, 1, 9), 5))
    with pytest.raises(UserError, match="expected version 0100, with sizes in the message, got 0101"):
        decode(unpaid(data))


@pytest.mark.parametrize("symbols", [[5], [-1], [[1, 2]], [0.5]])
def test_symbols_outside_the_codebook_are_refused(symbols):
    with pytest.raises(ValueError, match="symbols"):
        encode(symbols, fit_codebook(np.linspace(-1, 1, 9), 5))


GOLDEN = "43465156010000000031256cde35dd4c80"


def test_bytes_are_the_same_every_time_and_on_every_machine():
    """The format's golden bytes: a change to them is a new version."""
    symbols = [2, 2, 1, 2, 3, 2, 0, 2, 2, 4, 2, 2]
    data = encode(symbols, fit_codebook(np.linspace(-1, 1, 9), 5, "uniform"))
    assert data[:-32].hex() == GOLDEN
    assert decode(data).symbols.tolist() == symbols


def test_more_numbers_than_can_be_right_are_refused_before_they_are_decoded():
    with pytest.raises(UserError, match="expected at most 1000 numbers, got 1000000000000"):
        decode(claiming(10**12), longest=1000)
    with pytest.raises(UserError, match="cut off"):
        decode(claiming(1000), longest=1000)
    with pytest.raises(UserError, match="expected at most 268435456 numbers, got 1000000000000"):
        decode(claiming(10**12))
    data = encode(np.arange(30) % 5, fit_codebook(np.linspace(-1, 1, 9), 5))
    assert len(decode(data, longest=30).symbols) == 30
    with pytest.raises(UserError, match="expected at most 29 numbers, got 30"):
        decode(data, longest=29)


def test_a_number_of_absurd_length_is_refused_before_it_is_built():
    with pytest.raises(UserError, match="bitstream: ends after 121 bits"):
        BitReader("0" * 60 + "1" * 61).elias_delta()


@given(st.lists(st.integers(1, 2**40), max_size=20))
@example([1, 2, 3, 4, 15, 16, 17])
@settings(max_examples=50, deadline=None, derandomize=True)
def test_elias_delta_codes(numbers):
    writer = BitWriter()
    for number in numbers:
        writer.elias_delta(number)
    assert writer.length == sum(map(elias_delta_bits, numbers))
    reader = BitReader(unpack_bits(writer.to_bytes(), writer.length))
    assert [reader.elias_delta() for _ in numbers] == numbers
    assert reader.rest() == ""


def test_lengths_of_the_delta_code_meet_kraft_and_the_published_form_does_not():
    numbers = range(1, 1 << 14)
    assert sum(2.0 ** -elias_delta_bits(c) for c in numbers) <= 1.0
    assert sum(2.0 ** -(2 * math.log2(c)) for c in numbers) > 1.0
    assert elias_delta_bits(3111) == 18 < 2 * math.log2(3110)
