"""Text to tokens and back, without loss, and what of a document a model predicts.

A document of T tokens x_1 .. x_T has T predictions: x_t from (s, x_1, .., x_{t-1}), where s is the start token, so that
the first token is predicted too and no token is free. The start token is an input only: it is stored nowhere and is
never a target. The end of a document is not predicted: T is given.

| tokenizer | predicted vocabulary V | start token | rows of the input embedding |
|---|---|---|---|
| `bytes` | 256 | 256, beside the bytes | 257 |
| `gpt2` | 50,257, as published | 50,256 `<|endoftext|>`, which text never becomes | 50,257 |
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from certifuse.base.digests import digest_bytes
from certifuse.base.errors import UserError
from certifuse.base.files import LARGEST_RECORD_BYTES, read_bytes
from certifuse.data.text.byte_pairs import END_OF_TEXT, PATTERN, merge_ranks
from certifuse.study.settings.corpora import NO_BYTE_PAIRS, CorpusBase

Tokens = NDArray[np.uint8] | NDArray[np.uint16]

GPT2_FILES = {
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
}
"""SHA-256 of the files released with GPT-2; tiktoken expects the same."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """`size` tokens 0..size-1 can be predicted; `start_token` stands before the first token of every document."""

    tokenizer: str
    size: int
    start_token: int

    @property
    def inputs(self) -> int:
        """Number of different input tokens: the rows of an input embedding."""
        return max(self.size, self.start_token + 1)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of stored tokens: `uint8`, or little-endian `uint16`."""
        return np.dtype("<u1" if self.size <= 256 else "<u2")


class Tokeniser(Protocol):
    """`decode(encode(text))` is the text, and equal tokens mean equal text."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that there are."""
        ...

    def encode(self, text: str) -> Tokens:
        """The tokens (T,) of a text, without a start token."""
        ...

    def decode(self, tokens_T: Tokens) -> str:
        """The text of all tokens (T,) of a document."""
        ...


class ByteTokeniser:
    """The UTF-8 bytes of a text."""

    vocabulary = Vocabulary(tokenizer="bytes", size=256, start_token=256)

    def encode(self, text: str) -> Tokens:
        """The tokens (T,) of a text, without a start token."""
        return np.frombuffer(text.encode(), dtype=np.uint8)

    def decode(self, tokens_T: Tokens) -> str:
        """The text of all tokens (T,) of a document."""
        return tokens_T.tobytes().decode()


class BytePairTokeniser:
    """Byte pairs with GPT-2's division into pieces, by tiktoken; the text `<|endoftext|>` is ordinary text."""

    def __init__(self, encoding: Any, name: str) -> None:
        """Wrap a `tiktoken.Encoding` whose last token is the start token."""
        self._encoding = encoding
        self.vocabulary = Vocabulary(tokenizer=name, size=encoding.n_vocab, start_token=encoding.eot_token)

    def encode(self, text: str) -> Tokens:
        """The tokens (T,) of a text, without a start token. UserError for a run of blanks too long to be divided."""
        try:
            tokens_T = self._encoding.encode_to_numpy(text, disallowed_special=())
        except ValueError as error:
            longest = max(map(len, re.findall(r"\s+", text)), default=0)
            raise UserError(
                f"expected text that the pattern of {self.vocabulary.tokenizer} can divide, found a run of {longest:,} "
                f"blanks ({error}); shorten it, or use corpus.tokenizer: bytes"
            ) from error
        return np.asarray(tokens_T, dtype=self.vocabulary.dtype)

    def decode(self, tokens_T: Tokens) -> str:
        """The text of all tokens (T,) of a document."""
        text: bytes = self._encoding.decode_bytes(tokens_T.tolist())
        return text.decode()


def load_tokeniser(settings: CorpusBase) -> Tokeniser:
    """The tokeniser of a corpus. UserError where its package or its files are absent or are others."""
    if settings.tokenizer == "bytes":
        return ByteTokeniser()
    if settings.lacks_byte_pairs:
        raise UserError(f"corpus.gpt2_bpe: {NO_BYTE_PAIRS}")
    if settings.gpt2_bpe is None:
        return BytePairTokeniser(_fetched_encoding(), "gpt2")
    directory = Path(settings.gpt2_bpe)
    vocab_bpe, encoder_json = (_read_published(directory / name, digest) for name, digest in GPT2_FILES.items())
    return byte_pair_tokeniser("gpt2", vocab_bpe, encoder_json)


def byte_pair_tokeniser(name: str, vocab_bpe: str, encoder_json: str) -> BytePairTokeniser:
    """A tokeniser from the texts of the two files of a vocabulary; its last token is `<|endoftext|>`."""
    ranks = merge_ranks(vocab_bpe, encoder_json)
    special = {END_OF_TEXT: len(ranks)}
    encoding = _tiktoken().Encoding(name, pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=special)
    return BytePairTokeniser(encoding, name)


def _read_published(path: Path, digest: str) -> str:
    try:
        data = read_bytes(path, LARGEST_RECORD_BYTES)
    except OSError:
        expected = f"expected GPT-2's {path.name}, found no file; set corpus.gpt2_bpe to its directory"
        raise UserError(f"{path}: {expected}") from None
    if digest_bytes(data) != digest:
        raise UserError(f"{path}: expected the {path.name} released with GPT-2, found another; fetch it again")
    return data.decode()


def _fetched_encoding() -> Any:
    try:
        return _tiktoken().get_encoding("gpt2")
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"corpus.tokenizer: gpt2: tiktoken could not fetch its files ({reason}); "
            f"put {' and '.join(GPT2_FILES)} into a directory and set corpus.gpt2_bpe to it"
        ) from error


def _tiktoken() -> Any:
    try:
        import tiktoken
    except ImportError as error:
        raise UserError("corpus.tokenizer: gpt2 needs tiktoken; pip install tiktoken") from error
    return tiktoken
