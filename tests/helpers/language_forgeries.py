"""Certificates of language models as a forger would leave them: changed, and every digest and seal computed again."""

import contextlib
import copy
import hashlib
import json
from pathlib import Path
from typing import Any

from certifuse.base.digests import canonical_json, digest_file
from certifuse.base.manifest import read_manifest, write_manifest
from certifuse.certificates.language.certificate import LanguageCertificate
from certifuse.certificates.language.issue import Sample, metrics_of
from certifuse.data.text.corpus import load_corpus
from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE, MANIFEST_FILE, SUBLORA_METRICS_FILE
from certifuse.study.settings.sublora import SubloraBounds


def content_of(directory: Path) -> dict[str, Any]:
    """The content of a certificate, its seal included."""
    return dict(json.loads((directory / CERTIFICATE_FILE).read_text()))


def reseal(directory: Path, content: dict[str, Any]) -> None:
    """Write a content as if it had been written so, and metrics and manifest as if they had been made with it."""
    plain = {key: value for key, value in content.items() if key != "sha256"}
    seal = hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    text = json.dumps(plain | {"sha256": seal}, indent=2, sort_keys=True) + "\n"
    (directory / CERTIFICATE_FILE).write_text(text)
    metrics = directory / SUBLORA_METRICS_FILE
    wall_s = json.loads(metrics.read_text())["scoring_wall_s"]
    with contextlib.suppress(ValueError, KeyError):  # of no certificate nobody looks at the metrics
        metrics.write_text(json.dumps(metrics_of(LanguageCertificate.from_json(canonical_json(plain)), wall_s)))
    facts = read_manifest(directory / MANIFEST_FILE)
    facts["outputs_sha256"] = {
        name: digest_file(directory / name) for name in (BITSTREAM_FILE, CERTIFICATE_FILE, SUBLORA_METRICS_FILE)
    }
    facts |= {name: plain[name] for name in ("settings", "source_fingerprint") if name in plain}
    write_manifest(directory / MANIFEST_FILE, facts)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values that hold no others."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    return [path] if items is None else [leaf for key, inner in items for leaf in leaves(inner, (*path, key))]


def value_at(content: Any, path: tuple[Any, ...]) -> Any:
    """What lies at a path."""
    for key in path:
        content = content[key]
    return content


def changed(content: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy with another value at a path."""
    forged = copy.deepcopy(content)
    value_at(forged, path[:-1])[path[-1]] = value
    return forged


def forge(directory: Path, bitstream: bytes, **other: Any) -> None:
    """Another bitstream, with its own digest and draws in a certificate that is sealed again."""
    (directory / BITSTREAM_FILE).write_bytes(bitstream)
    content, digest = content_of(directory), hashlib.sha256(bitstream).hexdigest()
    corpus = load_corpus((directory / content["corpus"]["path"]).parent)
    sample = Sample(corpus, SubloraBounds.from_json(json.dumps(content["terms"])), 1)
    own = {"bitstream_sha256": digest, "drawn_sha256": sample.drawn_sha256(digest)}
    reseal(directory, content | own | other)
