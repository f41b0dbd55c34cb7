"""Documents from files with one JSON object a line, plain or compressed."""

import gzip
import json
import lzma
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from certifuse.base.errors import UserError
from certifuse.base.files import open_file
from certifuse.data.text.sources.streams import Streams
from certifuse.study.settings.corpora import JsonlCorpus

SETTINGS = JsonlCorpus
Stream = BufferedReader | gzip.GzipFile | lzma.LZMAFile
UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What the decompressors raise for a damaged or truncated file."""
LONGEST_LINE_BYTES = 1 << 26
"""Of one document with all that stands beside it; a long book has a hundredth of it."""


def read(settings: JsonlCorpus) -> Streams:
    """The user's files."""
    train = json_line_texts(settings.train, settings.text_key)
    if not settings.validation:
        return {"train": train}
    return {"train": train, "validation": json_line_texts(settings.validation, settings.text_key)}


def json_line_texts(paths: tuple[str, ...], key: str) -> Iterator[str]:
    """The strings under `key` of the lines of each file in turn, as they are; blank lines are passed over.

    Raises:
        UserError: a file is absent or damaged, or a line holds something else.
    """
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"{path}: expected a file with one JSON object a line, found none; check the path")
        try:
            with open_file(path) as file, _decompressed(file, path.suffix) as stream:
                for number, line in enumerate(_lines(stream, path), start=1):
                    if line.strip():
                        yield _text_of(line, key, f"{path}: line {number}")
        except UNREADABLE as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"{path}: expected a readable file, found a damaged one ({reason}); copy it again"
            ) from error


def _decompressed(file: BufferedReader, suffix: str) -> Stream:
    if suffix == ".gz":
        return gzip.open(file)
    return lzma.open(file) if suffix == ".xz" else file


def _lines(stream: Stream, path: Path) -> Iterator[bytes]:
    """The lines of a file one at a time; a small compressed file may hold one that fills the memory."""
    number = 1
    while line := stream.readline(LONGEST_LINE_BYTES + 1):
        if len(line) > LONGEST_LINE_BYTES:
            found = f"expected at most {LONGEST_LINE_BYTES} bytes, found more; divide the document or leave it out"
            raise UserError(f"{path}: line {number}: {found}")
        yield line
        number += 1


def _text_of(line: bytes, key: str, where: str) -> str:
    expected = f'expected {{"{key}": "..."}}'
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: {expected}, found no JSON ({error}); mend or remove the line") from error
    text = record.get(key) if isinstance(record, dict) else None
    if not isinstance(text, str):
        found = sorted(record) if isinstance(record, dict) else type(record).__name__
        raise UserError(f"{where}: {expected}, found {found}; mend the line, or set corpus.text_key")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: expected Unicode text, found half of a surrogate pair; remove it") from error
    return text
