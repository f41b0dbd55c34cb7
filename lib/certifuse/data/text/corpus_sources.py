"""The documents of a corpus by the name of their source. A new source is one function and one line of `SOURCES`."""

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal

from certifuse.base.errors import UserError
from certifuse.base.randomness import numpy_stream
from certifuse.data.text.json_lines import json_line_texts
from certifuse.data.text.python_docs import python_documents
from certifuse.study.settings.corpora import CorpusSettings, JsonlCorpus, OpenWebTextCorpus, PythonDocsCorpus

Part = Literal["train", "validation"]
Streams = Mapping[Part, Iterator[str]]
"""The texts of each part; without `validation` where it is to be drawn from `train`."""


def read_documents(settings: CorpusSettings) -> Iterator[tuple[Part, str]]:
    """(part, text) of every document, one after the other, in an order that the source fixes.

    Validation is drawn without looking at the text, each document by itself, so that documents that are i.i.d. are
    still so in either part.
    """
    streams = SOURCES[settings.source](settings)
    if "validation" in streams:
        for part, texts in streams.items():
            yield from ((part, text) for text in islice(texts, settings.max_documents))
    else:
        draws = numpy_stream(settings.validation_seed, "corpus", "validation")
        for text in islice(streams["train"], settings.max_documents):
            yield ("validation" if draws.random() < settings.validation_fraction else "train"), text


def read_python_docs(settings: PythonDocsCorpus) -> Streams:
    """The embedded documents of this Python."""
    return {"train": python_documents(settings.min_characters)}


def read_jsonl(settings: JsonlCorpus) -> Streams:
    """The user's files."""
    train = json_line_texts(settings.train, settings.text_key)
    if not settings.validation:
        return {"train": train}
    return {"train": train, "validation": json_line_texts(settings.validation, settings.text_key)}


def read_openwebtext(settings: OpenWebTextCorpus) -> Streams:
    """OpenWebText (Gokaslan and Cohen 2019), read row by row from the memory-mapped files of `datasets`."""
    if not settings.download:
        os.environ["HF_HUB_OFFLINE"] = "1"  # `datasets` reads it when it is imported
    try:
        import datasets
    except ImportError as error:
        raise UserError("corpus.source: openwebtext needs Hugging Face datasets; pip install datasets") from error
    try:
        rows = datasets.load_dataset(settings.dataset, revision=settings.revision, split="train")
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"corpus.dataset: {settings.dataset} could not be loaded ({reason}); set corpus.download: true to fetch "
            "it, or name a directory of its data files, or use corpus.source: jsonl"
        ) from error
    if "text" not in rows.column_names:
        where, found = f"corpus.dataset: {settings.dataset}", sorted(rows.column_names)
        raise UserError(f"{where}: expected a column 'text', found {found}; name another data set")
    return {"train": (text for batch in rows.iter(batch_size=1000) for text in batch["text"])}


SOURCES: dict[str, Callable[[Any], Streams]] = {
    "python_docs": read_python_docs,
    "jsonl": read_jsonl,
    "openwebtext": read_openwebtext,
}
