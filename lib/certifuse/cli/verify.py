"""`certifuse verify`: rebuild the model of a certificate and derive every number of it again."""

import argparse
import json
import math
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError, printable
from certifuse.certificates.images.certificate import Certificate
from certifuse.certificates.language.certificate import LanguageCertificate
from certifuse.cli.render import positive
from certifuse.evaluation.bounds.rounding import upper
from certifuse.study.paths import CERTIFICATE_FILE

EXAMPLES = """examples:
  certifuse verify results/certificates/resnet_concatenation_lambda_1.0/seed_0/d_16/levels_3
  certifuse verify results/certificates            (every certificate below)
  certifuse verify results/sublora/d_1000_learned_seed_42/levels_11   (a language model)
  certifuse verify --json DIRECTORY

The model is rebuilt on the CPU from the experts, or from its seed, and the bitstream; its mistakes are counted again on
the images, or its losses on the drawn documents; and every bit, bound and digest is derived again. Says `verified`, or
names the first thing that differs and exits with 2. The last line names what was taken on trust, because no file tells.
The files that a certificate rests on are found by their paths from its directory: move them together.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `verify`."""
    parser = subparsers.add_parser(
        "verify",
        help="rebuild the model of a certificate and derive every number again",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", type=Path, help="a certificate's directory, or one above several")
    parser.add_argument("--threads", type=positive, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Verify all, print a line each, and stop at the first that differs."""
    directories = sorted(path.parent for path in arguments.directory.rglob(CERTIFICATE_FILE))
    if not directories:
        raise UserError(f"{arguments.directory}: expected a certificate ({CERTIFICATE_FILE}), found none")

    from certifuse.certificates.verify import on_trust, verify

    verified = []
    trusted: dict[str, None] = {}
    for directory in directories:
        try:
            certificate = verify(directory, arguments.threads)
        except UserError as error:
            raise UserError(f"{directory}: not verified: {error}") from None
        trust = on_trust(certificate)
        trusted |= dict.fromkeys(trust)
        row = {"directory": str(directory), "verified": True, **_summary(certificate), "on_trust": list(trust)}
        verified.append(row)
        if not arguments.json:
            print(printable(f"{directory}: verified: {_line(certificate)}"))
    print(json.dumps(verified, indent=2) if arguments.json else printable(f"on trust: {'; '.join(trusted)}"))
    return 0


def _summary(certificate: Certificate | LanguageCertificate) -> dict[str, Any]:
    """The claim as plain values."""
    common = {**certificate.identity, "kind": certificate.kind, "code_bits": certificate.code_bits}
    claim = certificate.claim
    if isinstance(certificate, LanguageCertificate):
        terms = certificate.terms
        return common | {"delta": terms.delta, **claim.plain(), "terms_sha256": terms.sha256}
    held_out = certificate.held_out_claim
    return common | {
        "delta": certificate.delta,
        "risk": certificate.claim.risk,
        "bound": certificate.claim.bound,
        "vacuous": certificate.claim.bound >= 1,
        "inequality": claim.inequality,
        "prior_bound": certificate.prior_claim.bound,
        "held_out_bound": None if held_out is None else held_out.bound,
    }


def _line(certificate: Certificate | LanguageCertificate) -> str:
    """The same in words."""
    return _language_line(certificate) if isinstance(certificate, LanguageCertificate) else _image_line(certificate)


def _image_line(certificate: Certificate) -> str:
    claim, confidence = certificate.claim, 100 * (1 - certificate.delta)
    vacuous = ", which is vacuous" if claim.bound >= 1 else ""
    text = (
        f"error at most {upper(claim.bound, 2, 100)} % with {confidence:g} % confidence ({claim.inequality}){vacuous}, "
        f"on new images with the classes in the proportions of the sample; {100 * claim.risk:.2f} % on its "
        f"{certificate.counts.examples} images, {certificate.code_bits:g} bits"
    )
    held_out = certificate.held_out_claim
    return text if held_out is None else f"{text}; at most {upper(held_out.bound, 2, 100)} % by untouched images"


def _language_line(certificate: LanguageCertificate) -> str:
    claim, terms, sizes = certificate.claim, certificate.terms, certificate.sizes
    scored = f"all {sizes.documents}" if terms.whole else f"{terms.subsample} draws from {sizes.documents}"
    return (
        f"at most {upper(claim.bound_bpd, 4)} bits per token with {100 * (1 - terms.delta):g} % confidence "
        f"({claim.inequality}, alpha {claim.alpha:g}), {claim.risk_bpd:.4f} on {scored} documents, "
        f"{certificate.code_bits:g} bits; a uniform guess costs {math.log2(sizes.vocabulary):.4f}"
    )
