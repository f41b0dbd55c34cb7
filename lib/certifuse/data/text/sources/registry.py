"""The sources of documents by the names of the configuration."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from certifuse.base.randomness import numpy_stream
from certifuse.base.registry import implementation
from certifuse.data.text.sources.streams import Part, Streams
from certifuse.study.reading.problems import read_settings
from certifuse.study.settings.corpora import CorpusBase

PACKAGE = "certifuse.data.text.sources"


def source_settings(corpus: Mapping[str, Any]) -> CorpusBase:
    """The section `corpus` of a configuration, read by the model of the source that it names.

    Raises:
        UserError: there is no such source, or its model refuses a key.
    """
    model: type[CorpusBase] = implementation(PACKAGE, "SETTINGS", str(corpus.get("source")), "corpus.source")
    return read_settings(model, corpus, "corpus")


def read_documents(settings: CorpusBase) -> Iterator[tuple[Part, str]]:
    """(part, text) of every document, one after the other, in an order that the source fixes.

    Validation is drawn without looking at the text, each document by itself, so that documents that are i.i.d. are
    still so in either part.
    """
    streams: Streams = implementation(PACKAGE, "read", settings.source, "corpus.source")(settings)
    if "validation" in streams:
        for part, texts in streams.items():
            yield from ((part, text) for text in islice(texts, settings.max_documents))
    else:
        draws = numpy_stream(settings.validation_seed, "corpus", "validation")
        for text in islice(streams["train"], settings.max_documents):
            yield ("validation" if draws.random() < settings.validation_fraction else "train"), text
