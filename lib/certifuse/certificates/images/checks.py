"""Checks of a certificate against what follows from it, its bitstream and its components: no network runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError
from certifuse.certificates.coding.codec import CodedVector
from certifuse.certificates.expectations import expect
from certifuse.certificates.images.certificate import Certificate
from certifuse.certificates.images.issue import (
    HELD_OUT_MODELS,
    SAMPLE,
    STATEMENTS,
    JointModel,
    claim_of,
    prior_claim_of,
    untouched_claim_of,
)
from certifuse.certificates.images.model import IDENTITY
from certifuse.evaluation.bounds.ledger import Ledger
from certifuse.models.components.assembly import assemble
from certifuse.models.components.files import load_component
from certifuse.study.settings.fusion import FusionModuleSettings


def check_code(certificate: Certificate, coded: CodedVector) -> None:
    """The ledger is what the bitstream spends, d and L included, and both are those of the names."""
    ledger = Ledger(coded.charges)
    rows = {name: float(bits) for name, bits in ledger.rows().items()}
    expect("ledger", certificate.ledger, rows, tolerance=0.0)
    expect("code_bits", certificate.code_bits, ledger.code_bits, tolerance=0.0)
    expect("identity.d", certificate.identity.get("d"), len(coded.symbols))
    expect("identity.levels", certificate.identity.get("levels"), coded.codebook.levels)


def check_claims(certificate: Certificate) -> None:
    """Everything that follows from counts and bits follows, and the words are those of the kind."""
    counts, delta = certificate.counts, certificate.delta
    claims = {
        "claim": claim_of(counts, certificate.code_bits, delta),
        "prior_claim": prior_claim_of(counts, delta),
        "held_out_claim": untouched_claim_of(certificate.held_out, delta),
        "held_out_prior_claim": untouched_claim_of(certificate.held_out_prior, delta),
    }
    for name, derived in claims.items():
        recorded = getattr(certificate, name)
        expect(name, recorded and recorded.plain(), derived and derived.plain())
    expect("statement", certificate.statement, STATEMENTS[certificate.kind])
    expect("sample", certificate.sample, SAMPLE)
    expect("held_out_model", certificate.held_out_model, HELD_OUT_MODELS[certificate.kind])


def check_model(
    certificate: Certificate, experts: Sequence[Path], trained: JointModel | None, manifest: Mapping[str, Any] | None
) -> None:
    """Names and description of the model are those of its components, or of the settings that it was trained with."""
    parts = len(experts) + 2 if certificate.kind == "joint" else 0
    expect("components", len(certificate.components), parts)
    expect("components_manifest", trained is not None, certificate.kind == "joint")
    identity, model = certificate.identity, certificate.model
    expected = model.plain() | {
        "architecture": load_component(experts[0]).spec["architecture"]["name"],
        "anchored": certificate.kind == "subspace",
    }
    if trained is not None and manifest is not None:
        size = identity["d"]
        expected |= {
            "fusion": load_component(trained.components[-2]).spec,
            "parameters": "everything",
            "projector": {"kind": IDENTITY, "seed": 0, "subspace_dim": size, "ambient_dim": size},
        }
        expect("identity.lambda", identity.get("lambda"), manifest["identity"].get("lambda"))
    else:
        expected |= _described_by_settings(certificate, experts)
    expect("model", model.plain(), expected)
    names = {"architecture": model.architecture, "fusion": model.fusion["fusion"], "seed": model.initialisation_seed}
    names |= {"lambda": str(identity.get("lambda")), "d": identity["d"], "levels": identity["levels"]}
    expect("identity", identity, names)


def _described_by_settings(certificate: Certificate, experts: Sequence[Path]) -> dict[str, Any]:
    """The description of a model in a subspace by its settings: the fusion module, the parameters, the projector."""
    average = assemble([load_component(path) for path in experts], None, None)
    projector = certificate.model.projector.plain()
    try:
        training, fusion = certificate.settings["training"], certificate.settings["fusion"]
        module = {key: fusion[key] for key in FusionModuleSettings.model_fields}
        projector |= {"kind": training["projector"], "seed": training["projector_seed"]}
        parameters = training["parameters"]
    except (KeyError, TypeError):
        raise UserError("settings: expected those that the certificate was made with, found others") from None
    rule = certificate.model.fusion.get("fusion")
    sizes = {"experts": len(experts), "feature_dim": average.feature_dim}
    return {
        "fusion": {"kind": "fusion", "fusion": rule, **sizes, "module": module},
        "parameters": parameters,
        "projector": projector | {"subspace_dim": certificate.identity["d"]},
    }
