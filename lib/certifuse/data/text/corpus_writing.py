"""Documents into a prepared corpus, one at a time: nothing but offsets and a digest a document stays in memory."""

import hashlib
import logging
import os
import tempfile
from array import array
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from certifuse.base.digests import digest_bytes
from certifuse.base.errors import UserError
from certifuse.base.files import in_use, remove_leftovers, write_json
from certifuse.base.machine import stored_bytes, writing
from certifuse.data.text.corpus import (
    COUNTS,
    FORMAT,
    MANIFEST,
    OFFSET_DTYPE,
    PARTS,
    check_distinct,
    corpus_digest,
    load_corpus,
    settings_digest,
)
from certifuse.data.text.sources.streams import Part
from certifuse.data.text.tokenisers import Tokeniser, Tokens

LOGGER = logging.getLogger(__name__)
SHOWN, SOUGHT = 40, 1000
"""Characters of a document that a message shows, and that it looks at for them."""
LOG_EVERY = 100_000
"""Documents read between two lines of the log."""


class _PartWriter:
    """One part on its way to disk."""

    def __init__(self, directory: Path, part: Part, files: ExitStack) -> None:
        self.part = part
        self.counts = dict.fromkeys(COUNTS, 0)
        self._tokens_path, self._offsets_path = directory / f"{part}.bin", directory / f"{part}_offsets.bin"
        self._stream = files.enter_context(self._tokens_path.open("wb"))
        self._digest = hashlib.sha256()
        self._offsets = array("q", [0])

    def append(self, tokens_T: Tokens, text_bytes: int) -> None:
        """Write the tokens of one document, which must be of the type to be stored."""
        data = tokens_T.data.cast("B")
        self._stream.write(data)
        self._digest.update(data)
        self.counts["documents"] += 1
        self.counts["tokens"] += len(tokens_T)
        self.counts["text_bytes"] += text_bytes
        self._offsets.append(self.counts["tokens"])

    def finish(self) -> dict[str, Any]:
        """Write the offsets; returns what the manifest says of this part."""
        self._stream.flush()
        offsets = np.frombuffer(self._offsets, dtype=np.int64).astype(OFFSET_DTYPE).tobytes()
        self._offsets_path.write_bytes(offsets)
        digests = {self._tokens_path: self._digest.hexdigest(), self._offsets_path: digest_bytes(offsets)}
        files = {path.name: {"bytes": path.stat().st_size, "sha256": digest} for path, digest in digests.items()}
        return {**self.counts, "files": files}


def write_corpus(
    documents: Iterable[tuple[Part, str]],
    tokeniser: Tokeniser,
    min_tokens: int,
    settings: Mapping[str, Any],
    directory: Path,
) -> None:
    """Write (part, text) of every document to `directory`, each text once; `settings` are kept in the manifest.

    The directory is filled beside its place; the manifest comes last, so that readers see a whole corpus or none. About
    170 bytes of memory for each document.

    Raises:
        UserError: a part is left without a document.
    """
    with writing(directory.parent, lambda: 0):
        directory.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(directory)
        staging = tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}.")
    staged = Path(staging.name)
    with staging, in_use(staged), writing(directory, lambda: stored_bytes(staged)):
        parts = _write_parts(documents, tokeniser, min_tokens, staged)
        manifest = {
            "format": FORMAT,
            "vocabulary": vars(tokeniser.vocabulary),
            "settings": dict(settings),
            "parts": parts,
        }
        seals = {"digest": corpus_digest(manifest), "settings_sha256": settings_digest(manifest)}
        write_json(staged / MANIFEST, manifest | seals)
        check_distinct(load_corpus(staged))
        _publish(staged, directory)


def _write_parts(
    documents: Iterable[tuple[Part, str]], tokeniser: Tokeniser, min_tokens: int, directory: Path
) -> dict[str, dict[str, Any]]:
    part_of: dict[bytes, Part] = {}
    with ExitStack() as files:
        writers = {part: _PartWriter(directory, part, files) for part in PARTS}
        for number, (part, text) in enumerate(documents, start=1):
            try:
                _add_document(writers[part], text, tokeniser, min_tokens, part_of)
            except UserError as error:
                raise UserError(f"corpus: document {number} of those read, {_beginning(text)}: {error}") from error
            if number % LOG_EVERY == 0:
                LOGGER.info("%s documents read", f"{number:,}")
        for writer in writers.values():
            _check_filled(writer)
        return {part: writer.finish() for part, writer in writers.items()}


def _add_document(
    writer: _PartWriter, text: str, tokeniser: Tokeniser, min_tokens: int, part_of: dict[bytes, Part]
) -> None:
    """Append a document unless it is too short or was kept before; `part_of` holds the digests of those kept."""
    encoded = text.encode()
    digest = hashlib.sha256(encoded).digest()
    writer.counts["read"] += 1
    if digest in part_of:
        own = part_of[digest] == writer.part
        writer.counts["duplicates" if own else "duplicates_of_other_part"] += 1
        return
    tokens_T = tokeniser.encode(text)
    if len(tokens_T) < max(min_tokens, 1):
        writer.counts["too_short"] += 1
        return
    part_of[digest] = writer.part
    writer.append(tokens_T, len(encoded))


def _beginning(text: str) -> str:
    """What tells a document from others: its length, and its first words where it has some."""
    words = " ".join(text[:SOUGHT].split())
    said = f"with {words[:SHOWN]!r} at its beginning" if words else "blank at its beginning"
    return f"{len(text):,} characters, {said}"


def _check_filled(writer: _PartWriter) -> None:
    counts = writer.counts
    if counts["documents"] == 0:
        dropped = counts["duplicates"] + counts["duplicates_of_other_part"]
        raise UserError(
            f"corpus: expected at least one {writer.part} document, found none among {counts['read']} read "
            f"({counts['too_short']} too short, {dropped} kept before); name other files, or change "
            "corpus.max_documents, corpus.min_tokens or corpus.validation_fraction"
        )


def _publish(staged: Path, directory: Path) -> None:
    """Move all files of `staged` into `directory`, the manifest last, which a corpus without it would lack."""
    directory.mkdir(exist_ok=True)
    manifest = directory / MANIFEST
    manifest.unlink(missing_ok=True)
    for path in sorted(staged.iterdir(), key=lambda path: path.name == MANIFEST):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        path.replace(directory / path.name)
