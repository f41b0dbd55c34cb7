"""OpenWebText, by Hugging Face `datasets`."""

import os
from collections.abc import Iterator
from typing import Any

from certifuse.base.errors import UserError
from certifuse.data.text.sources.streams import Streams
from certifuse.study.reading.plain_values import shown
from certifuse.study.settings.corpora import OpenWebTextCorpus

SETTINGS = OpenWebTextCorpus
COLUMN = "text"
BATCH = 1000
"""Rows that are read at once."""


def read(settings: OpenWebTextCorpus) -> Streams:
    """OpenWebText (Gokaslan and Cohen 2019), read row by row from the memory-mapped files of `datasets`."""
    if not settings.download:
        os.environ["HF_HUB_OFFLINE"] = "1"  # `datasets` reads it when it is imported
    try:
        import datasets
    except ImportError as error:
        raise UserError("corpus.source: openwebtext needs Hugging Face datasets; pip install datasets") from error
    where = f"corpus.dataset: {settings.dataset}"
    unreadable = (OSError, RuntimeError, ValueError, datasets.exceptions.DatasetsError)
    try:
        rows = datasets.load_dataset(settings.dataset, revision=settings.revision, split="train")
    except unreadable as error:
        raise UserError(
            f"{where} could not be loaded ({_reason(error)}); set corpus.download: true to fetch it, or name a "
            "directory of its data files that is whole, or use corpus.source: jsonl"
        ) from error
    if COLUMN not in rows.column_names:
        found = ", ".join(sorted(rows.column_names))
        raise UserError(f"{where}: expected a column {COLUMN!r}, found {found}; name another data set")
    return {"train": _texts(rows, where, unreadable)}


def _texts(rows: Any, where: str, unreadable: tuple[type[Exception], ...]) -> Iterator[str]:
    """The text of every row. UserError for a row without one, and for files that cannot be read to the end."""
    number = 0
    try:
        for batch in rows.iter(batch_size=BATCH):
            for text in batch[COLUMN]:
                if not isinstance(text, str):
                    raise UserError(
                        f"{where}: row {number} (from 0): expected text, found {shown(text)}; mend or remove the row"
                    )
                yield text
                number += 1
    except unreadable as error:
        raise UserError(
            f"{where}: expected readable rows, found damage after {number} ({_reason(error)}); fetch it again"
        ) from error


def _reason(error: BaseException) -> str:
    """What went wrong, in one line: `datasets` hides it as the cause of an error that says nothing."""
    return " ".join(str(error.__cause__ or error).split())
