"""Checks of a certificate against what follows from it, its bitstream and its components: no network runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from certifuse.base.digests import canonical_json
from certifuse.base.errors import UserError
from certifuse.certificates.coding.codec import CodedVector
from certifuse.certificates.expectations import expect
from certifuse.certificates.images.certificate import Certificate
from certifuse.certificates.images.issue import (
    HELD_OUT_MODELS,
    SAMPLE,
    Claims,
    JointModel,
    statement_of,
)
from certifuse.certificates.images.model import IDENTITY
from certifuse.evaluation.bounds.ledger import Ledger
from certifuse.models.components.assembly import assemble, fusion_spec
from certifuse.models.components.files import load_component
from certifuse.study.steps.certificates import CertifyJoint, CertifySubspace

FEWEST_LEVELS = 2
"""A vector on one level was not trained: all its weight would be in the description, which costs no bits."""


def check_code(certificate: Certificate, coded: CodedVector) -> None:
    """The ledger is what the bitstream spends, d and L included, and both are those of the names."""
    ledger = Ledger(coded.charges)
    rows = {name: float(bits) for name, bits in ledger.rows().items()}
    expect("ledger", certificate.ledger, rows, tolerance=0.0)
    expect("code_bits", certificate.code_bits, ledger.code_bits, tolerance=0.0)
    expect("identity.d", certificate.identity.get("d"), len(coded.symbols))
    expect("identity.levels", certificate.identity.get("levels"), coded.codebook.levels)
    if coded.codebook.levels < FEWEST_LEVELS:
        found = coded.codebook.levels
        raise UserError(f"bitstream: expected numbers on {FEWEST_LEVELS} levels or more, found {found}")


def check_claims(certificate: Certificate) -> None:
    """Everything that follows from counts and bits follows, and the words are those of the kind."""
    for name, claim in Claims.recorded(certificate).named().items():
        recorded = getattr(certificate, name)
        expect(name, recorded and recorded.plain(), claim and claim.plain())
    expect("statement", certificate.statement, statement_of(certificate.kind, certificate.settings))
    expect("sample", certificate.sample, SAMPLE)
    expect("held_out_model", certificate.held_out_model, HELD_OUT_MODELS[certificate.kind])


def check_settings(certificate: Certificate) -> CertifySubspace | CertifyJoint:
    """The settings of the step that wrote it: whole, and those of the certificate's names, delta and levels."""
    kind = CertifySubspace if certificate.kind == "subspace" else CertifyJoint
    try:
        step = kind.from_json(canonical_json(certificate.settings))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("settings", *first["loc"])))
        raise UserError(f"{where}: expected those that the certificate was made with: {first['msg']}") from None
    expect("settings", certificate.settings, step.plain(), tolerance=0.0)
    expect("delta", certificate.delta, step.delta, tolerance=0.0)
    sizes = {name: certificate.identity.get(name) for name in ("d", "levels")}
    expect("identity", certificate.identity, sizes | step.cell.names())
    levels = step.levels if isinstance(step, CertifySubspace) else (step.levels,)
    if sizes["levels"] not in levels:
        raise UserError(f"identity.levels: expected one of {levels} as in the settings, found {sizes['levels']}")
    return step


def check_model(
    certificate: Certificate,
    step: CertifySubspace | CertifyJoint,
    experts: Sequence[Path],
    trained: JointModel | None,
) -> None:
    """The description of the model is that of its components, and of the settings that it was trained with."""
    parts = len(experts) + 2 if certificate.kind == "joint" else 0
    expect("components", len(certificate.components), parts)
    expect("components_manifest", trained is not None, certificate.kind == "joint")
    model, cell = certificate.model, step.cell
    expected: dict[str, Any] = {
        "architecture": load_component(experts[0]).spec["architecture"]["name"],
        "anchored": certificate.kind == "subspace",
        "initialisation_seed": cell.seed,
        "theta0_sha256": model.theta0_sha256,
    }
    if trained is None:
        expected |= _in_subspace(certificate, step, experts)
    else:
        size = certificate.identity["d"]
        expected |= {
            "fusion": load_component(trained.components[-2]).spec,
            "parameters": "everything",
            "projector": {"kind": IDENTITY, "seed": 0, "subspace_dim": size, "ambient_dim": size},
        }
    expect("model", model.plain(), expected, tolerance=0.0)
    expect("identity.architecture", certificate.identity["architecture"], model.architecture)
    expect("identity.fusion", certificate.identity["fusion"], model.fusion.get("fusion"))


def _in_subspace(
    certificate: Certificate, step: CertifySubspace | CertifyJoint, experts: Sequence[Path]
) -> dict[str, Any]:
    """The description of a model in a subspace: the fusion module, what is moved, and the projector.

    Its settings know no other projectors than random ones.
    """
    assert isinstance(step, CertifySubspace)
    average = assemble([load_component(path) for path in experts], None, None)
    training, cell = step.training, step.cell
    return {
        "fusion": fusion_spec(cell.fusion, len(experts), average.feature_dim, step.fusion),
        "parameters": training.parameters,
        "projector": {
            "kind": training.projector,
            "seed": training.projector_seed,
            "subspace_dim": cell.d,
            "ambient_dim": certificate.model.projector.ambient_dim,
        },
    }
