"""Certificates, verified from Python."""

from pathlib import Path

from certifuse.base.errors import UserError
from certifuse.certificates import verify as verification
from certifuse.certificates.images.certificate import Certificate
from certifuse.certificates.language.certificate import LanguageCertificate
from certifuse.study.paths import CERTIFICATE_FILE


def verify(directory: str | Path, threads: int = 1) -> dict[Path, Certificate | LanguageCertificate]:
    """Rebuild the model of every certificate below a directory and derive each number again.

    Args:
        directory: that of a certificate, or one above several.
        threads: of the CPU.

    Returns:
        The certificates by their directories; their `claim` is what holds.

    Raises:
        UserError: none is there, or the first thing that differs.
    """
    places = sorted(path.parent for path in Path(directory).rglob(CERTIFICATE_FILE))
    if not places:
        raise UserError(f"{directory}: expected a certificate ({CERTIFICATE_FILE}), found none")
    return {place: verification.verify(place, threads) for place in places}
