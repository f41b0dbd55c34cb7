"""Tokenisers by value: published numbers, a slow reference for byte pairs, tiktoken's own reader of the two files."""

import json
import random
import re
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from certifuse.base.digests import digest_bytes
from certifuse.base.errors import UserError
from certifuse.data.text import tokenisers
from certifuse.data.text.byte_pairs import byte_symbols, merge_ranks
from certifuse.data.text.corpus_writing import write_corpus
from certifuse.data.text.tokenisers import ByteTokeniser, byte_pair_tokeniser, load_tokeniser
from certifuse.study.settings.corpora import OpenWebTextCorpus, PythonDocsCorpus

GPT2_BPE = Path(__file__).resolve().parents[4] / "shared" / "data" / "gpt2_bpe"
UNUSUAL = ["", " ", "\n\n \t", "naïve café", "日本語のテキスト", "😀👍🏽", "\x00\x7f\x80", "a" * 1000, "<|endoftext|>"]
SAMPLE = "the hen's hotel, then the other hotels; it'll be the 1st of 100 1001 nights there!\n\n  The end "


def random_texts(alphabet, count=200):
    draws = random.Random(0)
    return ["".join(draws.choices(alphabet, k=draws.randrange(40))) for _ in range(count)]


# ---- bytes ---------------------------------------------------------------------------------------


def test_bytes_are_utf_8():
    tokeniser = ByteTokeniser()
    assert tokeniser.encode("aé€").tolist() == [0x61, 0xC3, 0xA9, 0xE2, 0x82, 0xAC]
    assert tokeniser.encode("a").dtype == tokeniser.vocabulary.dtype == np.uint8
    for text in UNUSUAL + random_texts("aé€😀\x00\n"):
        assert tokeniser.decode(tokeniser.encode(text)) == text


def test_the_start_token_of_bytes_is_beside_the_predicted_vocabulary():
    vocabulary = load_tokeniser(PythonDocsCorpus(source="python_docs")).vocabulary
    assert (vocabulary.size, vocabulary.start_token, vocabulary.inputs) == (256, 256, 257)


# ---- byte pairs ----------------------------------------------------------------------------------


def pieces(text):
    """GPT-2's division into pieces, for ASCII."""
    return re.findall(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+", text)


def symbols_of(text):
    symbol_of = {byte: symbol for symbol, byte in byte_symbols().items()}
    return [symbol_of[byte] for byte in text.encode()]


def merged(symbols, pair):
    result = []
    for symbol in symbols:
        if result and (result[-1], symbol) == pair:
            result[-1] += symbol
        else:
            result.append(symbol)
    return result


@pytest.fixture(scope="module")
def merges():
    """Forty merges learnt from the sample: always the most frequent pair, the first of equals in order."""
    words, learnt = [symbols_of(piece) for piece in pieces(SAMPLE)], []
    for _ in range(40):
        pairs = [pair for word in words for pair in pairwise(word)]
        best = max(sorted(set(pairs)), key=pairs.count)
        learnt.append(best)
        words = [merged(word, best) for word in words]
    return learnt


@pytest.fixture(scope="module")
def tiny_files(merges):
    """The texts of vocab.bpe and encoder.json of that vocabulary."""
    tokens = [*byte_symbols(), *("".join(pair) for pair in merges), "<|endoftext|>"]
    vocab_bpe = "#version: 0.2\n" + "".join(f"{' '.join(pair)}\n" for pair in merges)
    return vocab_bpe, json.dumps({token: number for number, token in enumerate(tokens)})


@pytest.fixture
def tiny(tiny_files):
    pytest.importorskip("tiktoken", reason="tiktoken is not installed")
    return byte_pair_tokeniser("tiny", *tiny_files)


def slow_tokens(text, merges):
    """Byte pairs by their definition: in each piece, the merge of highest priority wherever it applies, repeatedly."""
    number = {token: n for n, token in enumerate([*byte_symbols(), *("".join(pair) for pair in merges)])}
    tokens = []
    for piece in pieces(text):
        symbols = symbols_of(piece)
        while found := [m for m in merges if m in list(pairwise(symbols))]:
            symbols = merged(symbols, found[0])
        tokens += [number[symbol] for symbol in symbols]
    return tokens


def test_characters_stand_for_bytes():
    byte_of = byte_symbols()
    assert sorted(byte_of.values()) == list(range(256))
    assert [byte_of[symbol] for symbol in "!~ĠĊĀ\u0143"] == [33, 126, 32, 10, 0, 0xAD]
    assert list(byte_of)[:3] == ["!", '"', "#"]


def test_byte_pairs_equal_a_slow_reference(tiny, merges):
    lengths = []
    for text in [SAMPLE, *random_texts("the hoxl's10\n!"), *random_texts(["the", " ", "hotel", "'ll", " 100", "\n"])]:
        tokens = tiny.encode(text)
        assert tokens.tolist() == slow_tokens(text, merges)
        assert tiny.decode(tokens) == text
        lengths.append((len(tokens), len(text)))
    assert sum(tokens for tokens, _ in lengths) < 0.8 * sum(characters for _, characters in lengths)


def test_byte_pairs_lose_nothing_and_never_make_the_start_token(tiny):
    assert (tiny.vocabulary.size, tiny.vocabulary.start_token, tiny.vocabulary.inputs) == (297, 296, 297)
    assert tiny.vocabulary.dtype == tiny.encode("a").dtype == np.uint16
    for text in UNUSUAL:
        tokens = tiny.encode(text)
        assert tiny.decode(tokens) == text
        assert tiny.vocabulary.start_token not in tokens


def test_the_two_files_are_read_as_tiktoken_reads_them(tiny_files, tmp_path, monkeypatch):
    load = pytest.importorskip("tiktoken.load", reason="tiktoken is not installed")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    pairs = [tiny_files]
    if GPT2_BPE.is_dir():
        pairs.append(tuple((GPT2_BPE / name).read_text(encoding="utf-8") for name in ("vocab.bpe", "encoder.json")))
    for vocab_bpe, encoder_json in pairs:
        (tmp_path / "vocab.bpe").write_text(vocab_bpe, encoding="utf-8")
        (tmp_path / "encoder.json").write_text(encoder_json, encoding="utf-8")
        expected = load.data_gym_to_mergeable_bpe_ranks(str(tmp_path / "vocab.bpe"), str(tmp_path / "encoder.json"))
        assert merge_ranks(vocab_bpe, encoder_json) == expected


def test_files_that_disagree_are_refused(tiny_files):
    vocab_bpe, encoder_json = tiny_files
    with pytest.raises(ValueError, match="the same tokens"):
        merge_ranks(vocab_bpe + "x y\n", encoder_json)


# ---- GPT-2 ---------------------------------------------------------------------------------------


def gpt2_settings(directory):
    return PythonDocsCorpus(source="python_docs", tokenizer="gpt2", gpt2_bpe=str(directory))


def test_gpt2_gives_the_published_numbers():
    pytest.importorskip("tiktoken", reason="tiktoken is not installed")
    if not GPT2_BPE.is_dir():
        pytest.skip(f"no GPT-2 vocabulary at {GPT2_BPE}")
    gpt2 = load_tokeniser(gpt2_settings(GPT2_BPE))
    assert gpt2.encode("hello world").tolist() == [31373, 995]
    assert gpt2.encode("<|endoftext|>").tolist() == [27, 91, 437, 1659, 5239, 91, 29]
    assert (gpt2.vocabulary.size, gpt2.vocabulary.start_token, gpt2.vocabulary.inputs) == (50257, 50256, 50257)
    for text in UNUSUAL:
        assert gpt2.decode(gpt2.encode(text)) == text


def test_other_files_than_those_of_gpt2_are_refused(tiny_files, tmp_path, monkeypatch):
    pytest.importorskip("tiktoken", reason="tiktoken is not installed")
    settings = gpt2_settings(tmp_path)
    with pytest.raises(
        UserError, match=r"vocab\.bpe: expected GPT-2's vocab\.bpe, found no file; set corpus\.gpt2_bpe"
    ):
        load_tokeniser(settings)
    for name, text in zip(("vocab.bpe", "encoder.json"), tiny_files, strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"released with GPT-2, found another"):
        load_tokeniser(settings)
    digests = {name: digest_bytes((tmp_path / name).read_bytes()) for name in ("vocab.bpe", "encoder.json")}
    monkeypatch.setattr(tokenisers, "GPT2_FILES", digests)
    assert load_tokeniser(settings).vocabulary.size == 297


def test_a_missing_package_is_one_line(tiny_files, monkeypatch):
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with pytest.raises(UserError, match=r"^corpus\.tokenizer: gpt2 needs tiktoken; pip install tiktoken$"):
        byte_pair_tokeniser("tiny", *tiny_files)


def test_files_are_fetched_only_where_the_user_allows_it(monkeypatch):
    asked = []

    def get_encoding(name):
        asked.append(name)
        raise OSError("no route\nto host")

    monkeypatch.setitem(sys.modules, "tiktoken", SimpleNamespace(get_encoding=get_encoding))
    for refused in ({"source": "python_docs"}, {"source": "openwebtext"}):
        model = {"python_docs": PythonDocsCorpus, "openwebtext": OpenWebTextCorpus}[refused["source"]]
        with pytest.raises(
            UserError, match=r"corpus\.gpt2_bpe: expected the directory .* without download: true, found"
        ):
            load_tokeniser(model(tokenizer="gpt2", **refused))
    assert asked == []
    with pytest.raises(UserError, match=r"could not fetch its files \(no route to host\); put vocab\.bpe and"):
        load_tokeniser(OpenWebTextCorpus(source="openwebtext", tokenizer="gpt2", download=True))
    assert asked == ["gpt2"]


def test_a_run_of_blanks_that_the_pattern_cannot_divide_is_named(tiny, tmp_path):
    """As a line of the whole step, with the document; a shorter run is divided."""
    assert tiny.decode(tiny.encode("a" + " " * 1000)) == "a" + " " * 1000
    documents = [("train", "first"), ("train", "second one " + " " * 1_000_000), ("validation", "third")]
    with pytest.raises(UserError) as caught:
        write_corpus(documents, tiny, 1, {}, tmp_path / "corpus")
    said = "corpus: document 2 of those read, 1,000,011 characters, with 'second one' at its beginning: expected text"
    assert str(caught.value).startswith(said)
    assert "found a run of 1,000,001 blanks" in str(caught.value)
