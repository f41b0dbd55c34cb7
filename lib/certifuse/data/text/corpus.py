"""A prepared corpus: tokens on disk, document by document, that notice any change.

A directory with, for each part `train` and `validation`, `<part>.bin` (the tokens of all documents one after the other,
`uint8` or little-endian `uint16`, without any mark between documents) and `<part>_offsets.bin` (little-endian int64:
where each document starts, and the end), and `manifest.json`: the vocabulary, the settings, what was dropped, size
and SHA-256 of each file. Shape suffixes: N documents, S tokens of a part, T tokens of a document.
"""

import hashlib
from collections.abc import Iterator, Mapping
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
    vocabulary = Vocabulary(**manifest["vocabulary"])
    for facts in manifest["parts"].values():
        for name, expected in facts["files"].items():
            _check_file(directory / name, expected["bytes"], expected["sha256"])
    parts = {part: _open_part(directory, part, manifest["parts"][part], vocabulary) for part in PARTS}
    return Corpus(**parts, vocabulary=vocabulary, digest=manifest["digest"], manifest=manifest)


def check_disjoint(corpus: Corpus) -> None:
    """ValueError if a validation document equals a training document: compares the SHA-256 of their tokens."""
    validation = {digest: index for index, digest in enumerate(_document_digests(corpus.validation))}
    for index, digest in enumerate(_document_digests(corpus.train)):
        if digest in validation:
            raise ValueError(f"corpus: training document {index} is validation document {validation[digest]}")


def _document_digests(documents: Documents) -> Iterator[bytes]:
    return (hashlib.sha256(documents.document(index).data).digest() for index in range(len(documents)))


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


def _check_file(path: Path, size: int, sha256: str) -> None:
    found = check_file(path) if path.exists() else None
    if found != size:
        raise UserError(f"{path}: expected {size} bytes, found {'no file' if found is None else found}; {_MEND}")
    if digest_file(path) != sha256:
        raise UserError(f"{path}: its bytes differ from their digest in {MANIFEST}; {_MEND}")


def _open_part(directory: Path, part: Part, facts: Mapping[str, Any], vocabulary: Vocabulary) -> Documents:
    tokens_S: Tokens = np.memmap(directory / f"{part}.bin", dtype=vocabulary.dtype, mode="r")
    offsets = np.fromfile(directory / f"{part}_offsets.bin", dtype=OFFSET_DTYPE).astype(np.int64, copy=False)
    return Documents(tokens_S, offsets, facts["text_bytes"], digest_bytes(canonical_json(facts["files"]).encode()))
