"""The certificate of a language model: what is claimed of its loss on new documents, and all that it takes to check it.

`_bpd`: bits per predicted token (a byte, for byte tokens).
"""

from pathlib import Path
from typing import Any, Final, Literal

from certifuse.base.records import Count, Index, NonNegative, Settings
from certifuse.certificates.sealed_files import StoredFile, read_sealed_json, write_sealed_json
from certifuse.study.paths import CERTIFICATE_FILE
from certifuse.study.settings.language_models import LanguageModelSettings
from certifuse.study.settings.sublora import SubloraBounds

LanguageKind = Literal["sublora", "ngram"]
LANGUAGE_FORMAT: Final = 2


class BoundRow(Settings):
    """One inequality under one smoothing; bound = risk + subsampling + complexity."""

    inequality: str
    alpha: float
    risk_bpd: float
    subsampling_bpd: float
    bound_bpd: float

    @property
    def complexity_bpd(self) -> float:
        """The price of the model's bits."""
        return self.bound_bpd - self.risk_bpd - self.subsampling_bpd


class BestOfRow(Settings):
    """The bound of the claim for whoever quotes this certificate as the best of `candidates`."""

    candidates: Count
    bound_bpd: float


class TopKRow(Settings):
    """The share of a document's tokens whose true token is not among the k most probable: measured, and bounded."""

    k: Count
    risk: float
    bound: float


class LanguageClaim(Settings):
    """The smallest bound over the listed smoothings, whose choice is paid for. `about`: what it is a bound on."""

    about: str
    inequality: str
    alpha: float
    risk_bpd: float
    bound_bpd: float


class Description(Settings):
    """Measured, and no part of a claim: losses without smoothing, which are unbounded, and the spread of those with.

    `deviation_bpd` is over the scored documents, under the smoothing of the claim.
    """

    unsmoothed_bpd: float
    deviation_bpd: float
    validation_bpd: float
    validation_documents: Count


class CorpusSizes(Settings):
    """The training documents that the bound counts: m, their tokens together, V, and repeats that were dropped."""

    documents: Count
    tokens: Count
    vocabulary: Count
    duplicates_dropped: Index


class SubloraDescription(Settings):
    """Recipe that rebuilds theta = theta0 + P w from the decoded w; mode, d and seed are in the names of the cell."""

    network: LanguageModelSettings
    projector: Literal["kronecker", "dense", "sparse"]
    theta0_sha256: str


class LanguageCertificate(Settings):
    """Everything that is claimed of one language model.

    `bounds` holds every inequality under every smoothing of `terms`, each but `published` of a draw at confidence
    1 - delta where its smallest value over the smoothings is taken; `claim` is that of the inequality that was named in
    advance, `best_of` what it is as the best of M certificates. `token_claim` is another claim (see `token_level`).
    `drawn_sha256` are the digests of the draws, none where all documents were scored. `model` is null for a table of
    counts. `trained_sha256` is that of the numbers that were coded.
    """

    format: Literal[2] = LANGUAGE_FORMAT
    kind: LanguageKind
    identity: dict[str, str | int]
    statement: str
    sample: str
    terms: SubloraBounds
    bitstream_sha256: str
    code_bits: NonNegative
    ledger: dict[str, float]
    sizes: CorpusSizes
    drawn_sha256: dict[str, str]
    claim: LanguageClaim
    best_of: tuple[BestOfRow, ...]
    bounds: tuple[BoundRow, ...]
    top_k: tuple[TopKRow, ...]
    token_claim: LanguageClaim
    token_bounds: tuple[BoundRow, ...]
    description: Description
    model: SubloraDescription | None
    corpus: StoredFile
    trained_sha256: str | None
    settings: dict[str, Any]
    source_fingerprint: str
    environment: dict[str, Any]


def write_certificate_file(directory: Path, certificate: LanguageCertificate) -> None:
    """Write `certificate.json` into a directory, atomically, with its seal."""
    write_sealed_json(directory / CERTIFICATE_FILE, certificate)


def read_language_certificate(directory: Path) -> LanguageCertificate:
    """The certificate in a directory. UserError unless it is there and byte for byte as it was written."""
    return read_sealed_json(directory / CERTIFICATE_FILE, LanguageCertificate)
