"""The file of a certificate: one canonical form, sealed; whatever is wrong with it is one line."""

import hashlib
import json

import pytest

from certifuse.base.errors import UserError
from certifuse.certificates.images.certificate import Certificate, read_certificate, write_certificate
from certifuse.study.paths import CERTIFICATE_FILE
from certifuse.study.settings.data import SplitSettings

FILE = {"path": "../data/images.safetensors", "sha256": "ab" * 32}
CLAIM = {"risk": 0.1, "bound": 0.25, "inequality": "binomial", "bounds": {"binomial": 0.24, "kl": 0.26}}
UNTOUCHED = {"examples": 40, "errors": 5}
CONTENT = {
    "format": 2,
    "kind": "subspace",
    "identity": {"architecture": "resnet", "fusion": "concatenation", "lambda": "1.0", "seed": 0, "d": 4, "levels": 3},
    "statement": "With probability 1 - delta \u2026",
    "sample": "the fusion images",
    "delta": 0.05,
    "bitstream_sha256": "cd" * 32,
    "code_bits": 17.0,
    "ledger": {"sizes": 9.0, "symbols": 8.0},
    "counts": {"examples": 100, "errors": 10, "prior_errors": 12, "worse": 1, "better": 3},
    "claim": CLAIM,
    "prior_claim": CLAIM,
    "held_out_model": "decoded",
    "held_out": UNTOUCHED,
    "held_out_claim": CLAIM,
    "held_out_prior": None,
    "held_out_prior_claim": None,
    "test": UNTOUCHED,
    "test_prior": UNTOUCHED,
    "model": {
        "architecture": "resnet",
        "fusion": {"kind": "fusion", "fusion": "concatenation", "module": {"hidden_dim": None}},
        "anchored": True,
        "parameters": "everything",
        "initialisation_seed": 0,
        "projector": {"kind": "kronecker", "seed": 0, "subspace_dim": 4, "ambient_dim": 900},
        "theta0_sha256": "ef" * 32,
    },
    "experts": [{"component": FILE, "manifest": FILE}],
    "components": [],
    "components_manifest": None,
    "images": FILE,
    "splits": FILE,
    "split_settings": SplitSettings().plain(),
    "sets_sha256": {"fusion": "01" * 32},
    "settings": {"delta": 0.05},
    "source_fingerprint": "0123456789abcdef",
    "environment": {"machine": "x86_64"},
}


def canonical(value) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def sealed_text(content) -> str:
    """The file as anyone can write it: indented JSON with sorted keys, and the digest of the canonical form."""
    seal = hashlib.sha256(canonical(content).encode()).hexdigest()
    return json.dumps({**content, "sha256": seal}, indent=2, sort_keys=True) + "\n"


def refusal(directory, data: bytes | str) -> str:
    """The one line that refuses these bytes."""
    path = directory / CERTIFICATE_FILE
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    with pytest.raises(UserError) as raised:
        read_certificate(directory)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_the_bytes_are_those_of_the_canonical_form(tmp_path):
    certificate = Certificate.from_json(json.dumps(CONTENT))
    write_certificate(tmp_path, certificate)
    assert (tmp_path / CERTIFICATE_FILE).read_text(encoding="utf-8") == sealed_text(CONTENT)
    assert read_certificate(tmp_path) == certificate
    assert certificate.plain() == CONTENT


def test_every_flipped_byte_is_caught(tmp_path):
    data = sealed_text(CONTENT).encode()
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        refusal(tmp_path, bytes(damaged))


def test_every_truncation_and_every_addition_is_caught(tmp_path):
    data = sealed_text(CONTENT).encode()
    for length in {*range(0, len(data), len(data) // 64), *range(len(data) - 80, len(data))}:
        refusal(tmp_path, data[:length])
    for addition in (b"\n", b" ", b"\0", data):
        refusal(tmp_path, data + addition)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "damaged"),
        ("null", "damaged"),
        ("[]", "damaged"),
        ("3", "damaged"),
        ('"sha256"', "damaged"),
        ("{}", "damaged"),
        ("[" * 100_000, "damaged"),
        ('{"sha256": ' + "9" * 5000 + "}", "damaged"),
        (b"\xff\xfe\x00", "damaged"),
        (sealed_text(CONTENT).replace("\\u2026", "\\ud800"), "damaged"),
        (sealed_text(CONTENT | {"statement": "\ud800"}), "Invalid JSON"),
        (sealed_text(CONTENT).replace("0.05", "NaN"), "damaged"),
        (sealed_text(CONTENT).replace("0.05", "1e999"), "damaged"),
        (json.dumps(json.loads(sealed_text(CONTENT))), "its bytes differ"),
        (sealed_text(CONTENT).replace('"delta": 0.05', '"delta": 0.050'), "its bytes differ"),
        (sealed_text(CONTENT).replace('"delta"', '"delta": 0.05,\n  "delta"', 1), "its bytes differ"),
        (
            sealed_text(CONTENT | {"format": 1}),
            "format 2, found 1: an older version wrote it: delete its directory and run",
        ),
        (sealed_text(CONTENT | {"format": 3}), "format 2, found 3: verify it with the version that wrote it"),
        (sealed_text({key: value for key, value in CONTENT.items() if key != "format"}), "format 2, found None"),
    ],
)
def test_what_is_no_certificate_is_one_line(tmp_path, text, said):
    assert said in refusal(tmp_path, text)


def test_neither_a_missing_file_nor_a_directory_is_a_certificate(tmp_path):
    for directory in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError, match="expected a certificate, found no file"):
            read_certificate(directory)
    (tmp_path / CERTIFICATE_FILE).mkdir()
    with pytest.raises(UserError, match=r"expected a (certificate|regular file), found"):
        read_certificate(tmp_path)


@pytest.mark.parametrize("key", sorted(set(CONTENT) - {"format"}))
def test_each_key_is_needed_and_typed_under_a_sound_seal_too(tmp_path, key):
    assert f": {key}: " in refusal(tmp_path, sealed_text({k: v for k, v in CONTENT.items() if k != key}))
    assert f": {key}" in refusal(tmp_path, sealed_text(CONTENT | {key: [["wrong"]]}))
    assert ": novelty: " in refusal(tmp_path, sealed_text(CONTENT | {"novelty": 1}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"delta": 0.0}, "delta"),
        ({"delta": 1.0}, "delta"),
        ({"delta": "0.05"}, "delta"),
        ({"kind": "other"}, "kind"),
        ({"code_bits": -1.0}, "code_bits"),
        ({"held_out_model": "prior"}, "held_out_model"),
        ({"test": {"examples": 0, "errors": 0}}, "test.examples"),
        ({"test": {"examples": 3, "errors": 4}}, "test"),
        ({"held_out": {"examples": 3, "errors": -1}}, "held_out.errors"),
        ({"counts": CONTENT["counts"] | {"errors": 11}}, "errors are not prior_errors + worse - better"),
        ({"counts": CONTENT["counts"] | {"better": 13, "errors": 0}}, "counts"),
        ({"counts": CONTENT["counts"] | {"worse": 95, "errors": 104}}, "more differences"),
        ({"counts": {"examples": 1, "errors": 0, "prior_errors": 0, "worse": 0, "better": 0}}, "counts.examples"),
        ({"counts": CONTENT["counts"] | {"errors": 10.0}}, "counts.errors"),
        ({"experts": [{"component": FILE}]}, "experts.0.manifest"),
    ],
)
def test_values_that_cannot_be_are_refused(tmp_path, changes, said):
    assert said in refusal(tmp_path, sealed_text(CONTENT | changes))
