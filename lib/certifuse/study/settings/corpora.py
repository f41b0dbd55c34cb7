"""Documents of the language models: their sources, and how they become tokens."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from certifuse.base.records import Count, FilePath, Index, OpenFraction, Settings

NO_BYTE_PAIRS = (
    "expected the directory that holds vocab.bpe and encoder.json, for tokenizer gpt2 without download: true, "
    "found null"
)


class CorpusBase(Settings):
    """Settings that every source of documents shares; each adds its `source`."""

    if TYPE_CHECKING:
        source: str

    tokenizer: Literal["bytes", "gpt2"] = Field(
        default="bytes", description="`bytes`: UTF-8, vocabulary 256; `gpt2`: GPT-2's byte pairs, vocabulary 50257."
    )
    gpt2_bpe: FilePath | None = Field(
        default=None,
        description="`gpt2`: directory with GPT-2's vocab.bpe and encoder.json. Null: tiktoken fetches them, which "
        "needs `download: true`.",
    )
    max_documents: Count | None = Field(
        default=None,
        description="Read only the first so many documents of each part, or of the whole where validation is drawn. "
        "Null: all. The first of a sorted file are no random sample of it.",
    )
    min_tokens: Count = Field(default=1, description="Documents with fewer tokens are dropped and counted.")
    validation_fraction: OpenFraction = Field(
        default=0.1, description="Chance of each document to be drawn for validation where the source has no such part."
    )
    validation_seed: Index = Field(default=0, description="Seed of that draw.")

    @property
    def files(self) -> tuple[str, ...]:
        """The user's own files, which the workflow watches."""
        return ()

    @property
    def may_download(self) -> bool:
        """True where what is absent may be fetched."""
        return False

    @property
    def lacks_byte_pairs(self) -> bool:
        """True where GPT-2's byte pairs are needed, and neither named nor to be fetched: `NO_BYTE_PAIRS`."""
        return self.tokenizer == "gpt2" and self.gpt2_bpe is None and not self.may_download


class PythonDocsCorpus(CorpusBase):
    """The language reference and the documentation strings of this Python's standard library: about 4,000 documents.

    The embedded default, to see everything run without network. Documents of one module resemble one another, so they
    are no independent sample, and another Python has others.
    """

    source: Literal["python_docs"] = Field(description="The kind of source.")
    min_characters: Count = Field(default=100, description="Shorter documentation strings are left out.")


class JsonlCorpus(CorpusBase):
    """One JSON object a line; .jsonl, or compressed as .gz or .xz."""

    source: Literal["jsonl"] = Field(description="The kind of source.")
    train: tuple[FilePath, ...] = Field(
        min_length=1, description="Files, relative to the working directory or absolute."
    )
    validation: tuple[FilePath, ...] = Field(
        default=(), description="Files. Empty: `validation_fraction` of the documents is drawn for validation."
    )
    text_key: str = Field(default="text", description="The key that holds the text of a document.")

    @property
    def files(self) -> tuple[str, ...]:
        """The user's own files, which the workflow watches."""
        return (*self.train, *self.validation)


class OpenWebTextCorpus(CorpusBase):
    """OpenWebText by Hugging Face `datasets`: 8.0 million documents, 38 GB of text."""

    source: Literal["openwebtext"] = Field(description="The kind of source.")
    dataset: str = Field(
        default="Skylion007/openwebtext", description="Name on the Hugging Face hub, or a directory of data files."
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit on the hub. Null: the newest.")
    download: bool = Field(default=False, description="Fetch what is absent. The only network access.")
    validation_fraction: OpenFraction = Field(
        default=0.0005, description="Chance of each document to be drawn for validation."
    )

    @property
    def may_download(self) -> bool:
        """True where what is absent may be fetched."""
        return self.download


CorpusSettings = Annotated[PythonDocsCorpus | JsonlCorpus | OpenWebTextCorpus, Field(discriminator="source")]
