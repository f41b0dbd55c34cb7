"""Verify a certificate of whatever kind."""

from pathlib import Path
from typing import get_args

from certifuse.bounds.certificate import CERTIFICATE_FILE, Certificate
from certifuse.bounds.language_certificate import LanguageCertificate, LanguageKind
from certifuse.bounds.sealed_json import sealed_content
from certifuse.recipes.verify_certificate import verify_certificate
from certifuse.recipes.verify_language import verify_language


def verify(directory: Path, threads: int = 1) -> Certificate | LanguageCertificate:
    """The certificate in a directory, if every number of it is derived again. UserError that says what differs."""
    if sealed_content(directory / CERTIFICATE_FILE).get("kind") in get_args(LanguageKind):
        return verify_language(directory, threads)
    return verify_certificate(directory, threads)
