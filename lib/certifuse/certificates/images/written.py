"""The files in the directory of a certificate: none is missing, changed or foreign."""

import json
from pathlib import Path
from typing import Any

from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.base.files import LARGEST_RECORD_BYTES, read_bytes
from certifuse.base.manifest import SEAL, path_from, read_manifest
from certifuse.base.sealed import sealed
from certifuse.certificates.expectations import differs, expect
from certifuse.certificates.images.certificate import Certificate
from certifuse.certificates.sealed_files import check_directory
from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE, MANIFEST_FILE
from certifuse.study.steps.certificates import CertifyJoint, CertifySubspace

OWN = {CERTIFICATE_FILE, BITSTREAM_FILE}
"""What every certificate consists of."""


def check_written(directory: Path, certificate: Certificate, step: CertifySubspace | CertifyJoint) -> None:
    """UserError unless certificate, bitstream and the manifest of their step are there as one run wrote them.

    The manifest lies beside a joint certificate, and above those in a subspace, which one step writes at all levels.
    """
    joint = certificate.kind == "joint"
    check_directory(directory, OWN | {MANIFEST_FILE} if joint else OWN)
    path = (directory if joint else directory.parent) / MANIFEST_FILE
    manifest = _as_written(path)
    said = {name: manifest.get(name) for name in ("step", "identity", "settings", "source_fingerprint")}
    own = {"step": step.rule, "identity": step.identity(), "settings": certificate.settings}
    expect(str(path), said, own | {"source_fingerprint": certificate.source_fingerprint}, tolerance=0.0)
    outputs, inputs = (manifest.get(name) for name in ("outputs_sha256", "inputs_sha256"))
    if not isinstance(outputs, dict) or not isinstance(inputs, dict):
        raise UserError(f"{path}: expected the digests of what its step read and wrote, found none: run it again")
    for name in sorted(OWN):
        recorded, found = outputs.get(path_from(path.parent, directory / name)), digest_file(directory / name)
        if recorded != found:
            differs(f"{path}: {name}", recorded, found)
    if set(inputs.values()) != (named := _named(certificate)):
        differs(f"{path}: inputs_sha256", sorted(named), sorted(map(str, inputs.values())))


def _as_written(path: Path) -> dict[str, Any]:
    """A manifest whose every byte is as it was written: its seal does not see blanks and the like."""
    manifest = read_manifest(path)
    text = json.dumps(sealed(manifest, SEAL), indent=2, sort_keys=True, allow_nan=False) + "\n"
    if read_bytes(path, LARGEST_RECORD_BYTES) != text.encode():
        raise UserError(f"{path}: its bytes differ from those that were written: run the step that wrote it")
    return manifest


def _named(certificate: Certificate) -> set[str]:
    """The digests of all files that a certificate names."""
    files = [certificate.images, certificate.splits, *certificate.components]
    files += [file for expert in certificate.experts for file in (expert.component, expert.manifest)]
    files += [certificate.components_manifest] if certificate.components_manifest else []
    return {file.sha256 for file in files}
