"""Certify a language model that was pre-trained in a subspace, at one number of levels.

w is put on its levels and coded, with its splits where they were learned. The bits are written, read back and decoded,
and what they decode to is scored on training documents that are drawn only then. The mode, the ratio of a fixed mode
and the seed are agreed by the name of the cell: they cost no bits, and a certificate holds for its own cell.
"""

from dataclasses import dataclass
from pathlib import Path

from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.base.manifest import StepRecord
from certifuse.base.tensors import digest_tensors
from certifuse.certificates.language.certificate import SubloraDescription
from certifuse.certificates.language.issue import CertificateRun, Sample, scoring_execution
from certifuse.certificates.language.model import decode_sublora, decoder_settings, encode_sublora, start_of
from certifuse.data.text.corpus import MANIFEST, load_corpus
from certifuse.models.compute import runtime as runtimes
from certifuse.models.subspace.trained_vector import TrainedVector, load_vector
from certifuse.study.cells import SubloraCell
from certifuse.study.steps import CertifySubloraStep


@dataclass(frozen=True, kw_only=True)
class CertifySubloraFiles:
    """Where the step reads and writes: the trained numbers of one number of levels, the corpus, the certificate."""

    weights: Path
    corpus: Path
    directory: Path
    source: str


def certify_sublora(settings: CertifySubloraStep, cell: SubloraCell, levels: int, files: CertifySubloraFiles) -> None:
    """Write the certificate of one training at one number of levels. UserError where the weights are of another."""
    record = StepRecord("certify_sublora", settings, [files.weights, files.corpus / MANIFEST])
    runtime = runtimes.start(scoring_execution(settings.execution), training=False)
    corpus, trained = load_corpus(files.corpus), vector_of(files.weights, cell, levels)
    network = decoder_settings(settings.model)
    start = start_of(network, settings.projector, cell, corpus.vocabulary, runtime.device)
    names = {**cell._asdict(), "levels": levels}
    run = CertificateRun(
        kind="sublora",
        identity={"model": "sublora", **names},
        names=names,
        directory=files.directory,
        corpus=files.corpus,
        settings=settings,
        source=files.source,
        record=record,
        trained_sha256=digest_file(files.weights),
        model=SubloraDescription(
            network=network,
            projector=settings.projector,
            theta0_sha256=digest_tensors(start.network.state_dict()),
        ),
    )
    run.write(
        Sample(corpus, settings.bounds, settings.validation_documents),
        encode_sublora(trained, start, settings.codebook),
        lambda bitstream: decode_sublora(bitstream, start, cell, corpus.vocabulary, settings.bounds, runtime),
        runtime.record(),
    )


def vector_of(weights: Path, cell: SubloraCell, levels: int) -> TrainedVector:
    """The trained numbers of a cell. UserError where the file holds those of another cell or number of levels."""
    trained = load_vector(weights)
    if (trained.cell, trained.levels) != (cell, levels):
        raise UserError(
            f"{weights}: expected the numbers of {tuple(cell)} at {levels} levels, found those of "
            f"{tuple(trained.cell)} at {trained.levels}: name the right file"
        )
    return trained
