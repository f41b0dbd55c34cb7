"""Certify a language model that was pre-trained in a subspace, at one number of levels.

w is put on its levels and coded, with its splits where they were learned. The bits are written, read back and decoded,
and what they decode to is scored on training documents that are drawn only then. The mode, the ratio of a fixed mode
and the seed are agreed by the name of the cell: they cost no bits, and a certificate holds for its own cell.

Reads the trained numbers and the prepared corpus; writes certificate, bitstream, metrics and manifest. One pass over
the drawn documents in single precision: seconds for small networks, an hour on a CPU for GPT-2 small and 10,000
documents.
"""

from pathlib import Path

from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.base.manifest import StepRecord
from certifuse.base.tensors import digest_tensors
from certifuse.certificates.language.certificate import SubloraDescription
from certifuse.certificates.language.issue import Sample, scoring_execution, write_language_certificate
from certifuse.certificates.language.model import decode_sublora, decoder_settings, encode_sublora, start_of
from certifuse.data.text.corpus import MANIFEST, load_corpus
from certifuse.models.compute import runtime as runtimes
from certifuse.models.subspace.trained_vector import TrainedVector, load_vector
from certifuse.study.cells import SubloraCell
from certifuse.study.steps.language import CertifySublora


def certify_sublora(step: CertifySublora, files: CertifySublora.Files) -> None:
    """Write the certificate of one training at one number of levels. UserError where the weights are of another."""
    cell = step.cell
    record = StepRecord(step, files.source, [files.weights, files.corpus / MANIFEST])
    runtime = runtimes.start(scoring_execution(step.execution), training=False)
    corpus, trained = load_corpus(files.corpus), vector_of(files.weights, cell, step.cell_levels)
    network = decoder_settings(step.model)
    start = start_of(network, step.projector, cell, corpus.vocabulary, runtime.device)
    theta0_sha256 = digest_tensors(start.network.state_dict())
    write_language_certificate(
        Sample(corpus, step.bounds, step.validation_documents),
        encode_sublora(trained, start, step.codebook),
        lambda bitstream: decode_sublora(bitstream, start, cell, corpus.vocabulary, step.bounds, runtime),
        record,
        files.corpus,
        files.output,
        kind="sublora",
        identity={"model": "sublora", **step.identity()},
        runtime=runtime.record(),
        trained_sha256=digest_file(files.weights),
        model=SubloraDescription(network=network, projector=step.projector, theta0_sha256=theta0_sha256),
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
