"""Verify a certificate of whatever kind."""

from pathlib import Path
from typing import get_args

from certifuse.certificates.images import verify as images
from certifuse.certificates.images.certificate import Certificate
from certifuse.certificates.language import words
from certifuse.certificates.language.certificate import LanguageCertificate, LanguageKind
from certifuse.certificates.language.verify import verify_language
from certifuse.certificates.sealed_files import sealed_content
from certifuse.study.paths import CERTIFICATE_FILE


def verify(directory: Path, threads: int = 1) -> Certificate | LanguageCertificate:
    """The certificate in a directory, if every number of it is derived again. UserError that says what differs."""
    if sealed_content(directory / CERTIFICATE_FILE).get("kind") in get_args(LanguageKind):
        return verify_language(directory, threads)
    return images.verify_certificate(directory, threads)


def on_trust(certificate: Certificate | LanguageCertificate) -> tuple[str, ...]:
    """What no verification of it can see. Every kind of certificate says it of itself."""
    if isinstance(certificate, Certificate):
        return images.on_trust(certificate)
    return words.on_trust(certificate.terms)
