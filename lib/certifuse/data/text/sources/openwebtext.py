"""OpenWebText, by Hugging Face `datasets`."""

import os

from certifuse.base.errors import UserError
from certifuse.data.text.sources.streams import Streams
from certifuse.study.settings.corpora import OpenWebTextCorpus

SETTINGS = OpenWebTextCorpus


def read(settings: OpenWebTextCorpus) -> Streams:
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
