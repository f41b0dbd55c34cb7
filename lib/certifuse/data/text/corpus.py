"""A prepared corpus: tokens on disk, document by document, that notice any change.

A directory with, for each part `train` and `validation`, `<part>.bin` (the tokens of all documents one after the other,
`uint8` or little-endian `uint16`, without any mark between documents) and `<part>_offsets.bin` (little-endian int64:
where each document starts, and the end), and `manifest.json`: the vocabulary, the settings, what was dropped, size
and SHA-256 of each file. Shape suffixes: N documents, S tokens of a part, T tokens of a document.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from certifuse.base.digests import canonical_json, digest_bytes, digest_file
from certifuse.base.errors import UserError
from certifuse.base.files import check_file, read_json
from certifuse.data.text.sources.streams import Part
from certifuse.data.text.tokenisers import Tokens, Vocabulary

MANIFEST = "manifest.json"
FORMAT = 1
KEYS = {"format", "vocabulary", "settings", "settings_sha256", "parts", "digest"}
"""What every manifest says."""
COUNTS = ("read", "too_short", "duplicates", "duplicates_of_other_part", "documents", "tokens", "text_bytes")
"""`read` is the sum of the next four. A duplicate equals a document kept before, in its own or in the other part."""
VOCABULARY_KEYS = {"tokenizer", "size", "start_token"}
LARGEST_VOCABULARY = 1 << 16
"""Tokens are stored in 16 bits."""
OFFSET_DTYPE = np.dtype("<i8")
PARTS: tuple[Part, ...] = get_args(Part)
_MEND = "delete the directory and run the step that prepares the corpus"


@dataclass(frozen=True, eq=False)
class Documents:
    """One part: `tokens` (S,), a read-only memory map, and `offsets` int64 (N + 1,).

    `text_bytes` is the length of all its text in UTF-8; `digest` identifies tokens and offsets.
    """

    tokens: Tokens
    offsets: NDArray[np.int64]
    text_bytes: int
    digest: str

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens T of each document, (N,)."""
        return np.diff(self.offsets)

    def document(self, index: int) -> Tokens:
        """The tokens (T,) of document 0 <= `index` < N; a view of the memory map."""
        if not 0 <= index < len(self):
            raise IndexError(f"document {index} of {len(self)}")
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Both parts. `digest` identifies everything except the settings that led to it; `manifest` is all that is said."""

    train: Documents
    validation: Documents
    vocabulary: Vocabulary
    digest: str
    manifest: Mapping[str, Any]


def corpus_digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of the vocabulary and of what a manifest says of either part, the digests of the files included."""
    return digest_bytes(canonical_json({name: manifest[name] for name in ("vocabulary", "parts")}).encode())


def settings_digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of the settings that led to a corpus."""
    return digest_bytes(canonical_json(manifest["settings"]).encode())


def load_corpus(directory: Path) -> Corpus:
    """Open a prepared corpus and check every file against the manifest (a second for each gigabyte or so).

    Raises:
        UserError: the directory holds no prepared corpus, or a file was changed.
    """
    manifest = _read_manifest(directory / MANIFEST)
    _check_form(directory / MANIFEST, manifest)
    vocabulary = Vocabulary(**manifest["vocabulary"])
    for facts in manifest["parts"].values():
        for name, expected in facts["files"].items():
            _check_file(directory / name, expected["bytes"], expected["sha256"])
    parts = {part: _open_part(directory, part, manifest["parts"][part], vocabulary) for part in PARTS}
    return Corpus(**parts, vocabulary=vocabulary, digest=manifest["digest"], manifest=manifest)


def check_distinct(corpus: Corpus) -> None:
    """UserError if a training document equals another one or a validation document: compares digests of their tokens.

    Bounds count the documents, and a text that comes a thousand times is one.
    """
    digests = [_document_digests(documents) for documents in (corpus.train, corpus.validation)]
    keys_N2 = np.concatenate(digests)
    order = np.lexsort(keys_N2.T)
    same = (keys_N2[order[1:]] == keys_N2[order[:-1]]).all(axis=1)
    pairs = np.sort(np.stack([order[:-1][same], order[1:][same]]), axis=0)
    copies = pairs[:, pairs[0] < len(corpus.train)]
    if copies.size:
        first, second = copies[:, copies[1].argmin()]
        of_train, of_other = second < len(corpus.train), second - len(corpus.train)
        where = f"training document {second}" if of_train else f"validation document {of_other}"
        raise UserError(
            f"corpus: expected distinct documents, found {copies.shape[1]} copies among {len(corpus.train)} training "
            f"documents; the first: training document {first} is {where}; {_MEND}"
        )


def _document_digests(documents: Documents) -> NDArray[np.uint64]:
    """The first 128 bits of the SHA-256 of every document's tokens, (N, 2)."""
    digests = (hashlib.sha256(documents.document(index).data).digest()[:16] for index in range(len(documents)))
    return np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = read_json(path)
        sound = manifest["format"] == FORMAT and manifest["digest"] == corpus_digest(manifest)
        sound = sound and manifest.keys() == KEYS and manifest["settings_sha256"] == settings_digest(manifest)
    except OSError:
        expected = "expected the manifest of a prepared corpus, found none; run the step that prepares it"
        raise UserError(f"{path}: {expected}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: expected the manifest of a prepared corpus, found another file; {_MEND}") from error
    if not sound:
        raise UserError(f"{path}: the manifest differs from its digest or has another format; {_MEND}")
    return cast(dict[str, Any], manifest)


def _check_form(path: Path, manifest: Mapping[str, Any]) -> None:
    """UserError unless the manifest says what is read here, and in numbers that can be."""
    parts, vocabulary = manifest["parts"], manifest["vocabulary"]
    sound = isinstance(parts, dict) and isinstance(vocabulary, dict) and parts.keys() == set(PARTS)
    sound = sound and vocabulary.keys() == VOCABULARY_KEYS and isinstance(vocabulary["tokenizer"], str)
    sound = sound and all(_is_count(vocabulary[name]) for name in ("size", "start_token"))
    sound = sound and 2 <= vocabulary["size"] <= LARGEST_VOCABULARY >= vocabulary["start_token"]
    if not (sound and all(_is_part(part, facts) for part, facts in parts.items())):
        raise UserError(f"{path}: expected the manifest of a prepared corpus, found another file; {_MEND}")


def _is_part(part: str, facts: Any) -> bool:
    """True for what a manifest says of a part: counts, and size and digest of its two files."""
    if not isinstance(facts, dict) or facts.keys() != {*COUNTS, "files"} or not isinstance(facts["files"], dict):
        return False
    files = facts["files"]
    return (
        all(_is_count(facts[name]) for name in COUNTS)
        and files.keys() == {f"{part}.bin", f"{part}_offsets.bin"}
        and all(isinstance(file, dict) and file.keys() == {"bytes", "sha256"} for file in files.values())
        and all(
            _is_count(file["bytes"]) and file["bytes"] and isinstance(file["sha256"], str) for file in files.values()
        )
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _check_file(path: Path, size: int, sha256: str) -> None:
    found = check_file(path) if path.exists() else None
    if found != size:
        raise UserError(f"{path}: expected {size} bytes, found {'no file' if found is None else found}; {_MEND}")
    if digest_file(path) != sha256:
        raise UserError(f"{path}: its bytes differ from their digest in {MANIFEST}; {_MEND}")


def _open_part(directory: Path, part: Part, facts: Mapping[str, Any], vocabulary: Vocabulary) -> Documents:
    tokens_S: Tokens = np.memmap(directory / f"{part}.bin", dtype=vocabulary.dtype, mode="r")
    offsets = np.fromfile(directory / f"{part}_offsets.bin", dtype=OFFSET_DTYPE).astype(np.int64, copy=False)
    _check_documents(directory / f"{part}_offsets.bin", tokens_S, offsets, facts)
    if int(tokens_S.max()) >= vocabulary.size:
        raise UserError(f"{part}.bin: expected tokens below {vocabulary.size}, found {int(tokens_S.max())}; {_MEND}")
    return Documents(tokens_S, offsets, facts["text_bytes"], digest_bytes(canonical_json(facts["files"]).encode()))


def _check_documents(path: Path, tokens_S: Tokens, offsets: NDArray[np.int64], facts: Mapping[str, Any]) -> None:
    """UserError unless the documents are as many as said, none is empty, and together they are all tokens."""
    said, found = (facts["documents"], facts["tokens"]), (len(offsets) - 1, len(tokens_S))
    if said != found:
        raise UserError(f"{path}: expected {said[0]} documents of {said[1]} tokens, found {found}; {_MEND}")
    if offsets[0] != 0 or offsets[-1] != len(tokens_S) or not (np.diff(offsets) > 0).all():
        raise UserError(f"{path}: expected documents one behind the other, from 0 to {len(tokens_S)}; {_MEND}")
