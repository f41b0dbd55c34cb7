"""The honest line of an ordinary, jointly trained model.

It is judged on the certificate images, which nothing touched (exact binomial, 0 bits). Beside that stands what coding
all of its weights gives: the difference to its prior (the pre-trained experts, a fresh fusion module and head),
quantised, written, read back and decoded. So many bits make that bound vacuous, which is the point of showing it. The
statistics of batch normalisation were gathered on the sample and are not coded: the decoded model has the prior's.

Reads images, splits, the experts and the trained cell; writes certificate, bitstream and manifest. A few passes over
the sample and the test images on the CPU, and the coding of all weights: seconds to minutes.
"""

import numpy as np

from certifuse.base.errors import UserError
from certifuse.base.manifest import StepRecord
from certifuse.certificates.coding.codec import encode
from certifuse.certificates.images.certificate import ProjectorDescription
from certifuse.certificates.images.issue import Evidence, JointModel, write_coded_certificate
from certifuse.certificates.images.model import IDENTITY, describe, parameter_vector, prior_network
from certifuse.models.components.assembly import find_components
from certifuse.models.components.belonging import check_belonging
from certifuse.models.components.files import load_component
from certifuse.models.subspace.codebook import nearest_level
from certifuse.models.subspace.quantisation import fit_codebook
from certifuse.study import paths
from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE
from certifuse.study.steps.certificates import CertifyJoint

FITTED_ON = 100_000
"""Weights that the codebook is fitted on, evenly spaced among all: the encoder may choose any codebook."""


def certify_joint(step: CertifyJoint, files: CertifyJoint.Files) -> None:
    """Write the certificate of the jointly trained model whose components are in a directory, and its manifest."""
    cell, directory = step.cell, files.output
    pairs = list(zip(files.experts, files.expert_manifests, strict=True))
    evidence = Evidence(files.images, files.splits, pairs, step.delta, step.threads, files.source)
    evidence.check_independence(cell.names())
    evidence.check_copies()
    found = find_components(files.components)
    if found.fusion is None or found.global_head is None:
        raise UserError(f"{files.components}: expected a fusion module and a global head among them, found none")
    model = JointModel((*found.experts, found.fusion, found.global_head), files.components / paths.MANIFEST_FILE)
    model.check_independence(cell.names(), evidence)
    check_belonging((*model.components, *files.experts), cell.names())
    record = StepRecord(step, files.source, [*evidence.files(), *model.components, model.manifest])
    specification = load_component(found.fusion).spec
    prior = prior_network(files.experts, specification, cell.seed, anchored=False, parameters="everything")
    offset_D = (parameter_vector(model.network()) - parameter_vector(prior)).numpy()
    size = len(offset_D)
    projector = ProjectorDescription(kind=IDENTITY, seed=0, subspace_dim=size, ambient_dim=size)
    judge = evidence.judge(describe(prior, cell.architecture, specification, cell.seed, "everything", projector))
    codebook = fit_codebook(offset_D[:: max(1, size // FITTED_ON)].astype(np.float64), step.levels, "uniform")
    bitstream = encode(nearest_level(offset_D, codebook), codebook)
    identity = cell.names() | {"d": size, "levels": step.levels}
    write_coded_certificate(directory, "joint", identity, bitstream, judge, step, evidence, model)
    written = [directory / name for name in (CERTIFICATE_FILE, BITSTREAM_FILE)]
    record.write(directory / paths.MANIFEST_FILE, written, runtime=judge.samples.runtime.record())
