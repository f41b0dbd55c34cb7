"""Documents from files with one JSON object a line, plain or compressed."""

import gzip
import json
import lzma
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from certifuse.base.errors import UserError
from certifuse.data.text.sources.streams import Streams
from certifuse.study.settings.corpora import JsonlCorpus

SETTINGS = JsonlCorpus
UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What the decompressors raise for a damaged or truncated file."""


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
        if not path.is_file():
            raise UserError(f"{path}: expected a file with one JSON object a line, found none; check the path")
        try:
            with _opened(path) as stream:
                for number, line in enumerate(stream, start=1):
                    if line.strip():
                        yield _text_of(line, key, f"{path}: line {number}")
        except UNREADABLE as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"{path}: expected a readable file, found a damaged one ({reason}); copy it again"
            ) from error


def _opened(path: Path) -> AbstractContextManager[Iterable[bytes]]:
    if path.suffix == ".gz":
        return gzip.open(path)
    return lzma.open(path) if path.suffix == ".xz" else path.open("rb")


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
