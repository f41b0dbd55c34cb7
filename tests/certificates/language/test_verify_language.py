"""Verification of language models: sound certificates pass; damage, and numbers that are sealed again, are caught."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bitstreams import claiming, unpaid
from language_forgeries import changed, content_of, forge, leaves, reseal

from certifuse.base.errors import UserError
from certifuse.certificates.coding.codec import decode, encode, join_messages, part_messages
from certifuse.certificates.language import verify as recipe
from certifuse.certificates.language.issue import Sample
from certifuse.certificates.language.verify import BOUND_TOLERANCE, MEAN_TOLERANCE, verify_language
from certifuse.certificates.verify import verify
from certifuse.cli.main import main
from certifuse.study.cells import SubloraCell
from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE

LEARNED, FIXED = SubloraCell(40, "learned", 7), SubloraCell(30, "fixed_0.5", 7)
NAMES = (LEARNED, FIXED, "uniform", "unigram", "bigram")
FREE = {("environment",), ("source_fingerprint",), ("sha256",), ("trained_sha256",)}
FREE |= {("settings", name) for name in ("execution", "codebook", "validation_documents")}
FREE |= {("settings", "model", "size"), ("settings", "model", "lora", "dropout")}
"""Not derived: nothing claimed depends on them."""


@pytest.fixture
def damaged(language, tmp_path):
    """A copy of the study, to damage."""
    return language.copy(tmp_path / "damaged")


def refusal(directory: Path) -> str:
    with pytest.raises(UserError) as raised:
        verify_language(directory)
    said = str(raised.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_certificate_is_verified_wherever_it_lies(language, damaged, name):
    here, there = language.certificate_directory(name), damaged.certificate_directory(name)
    assert verify(here) == verify(there)


def test_the_number_of_threads_does_not_matter(language):
    verify(language.certificate_directory(FIXED), threads=2)


def test_the_command_line_says_so(language, capsys):
    directory, certificate = language.certificate_directory(LEARNED), language.certificate(LEARNED)
    assert main(["verify", str(directory)]) == 0
    bound_bpd = math.ceil(certificate.claim.bound_bpd * 1e4) / 1e4
    said = f"{directory}: verified: at most {bound_bpd:.4f} bits per token with 90 % confidence"
    assert capsys.readouterr().out.startswith(said)
    assert main(["verify", "--json", str(directory)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["bound_bpd"], row["d"], row["kind"]) == (certificate.claim.bound_bpd, 40, "sublora")


# ---- damaged files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [BITSTREAM_FILE, CERTIFICATE_FILE])
def test_truncation_and_flipped_bits_are_caught(damaged, name):
    path = damaged.certificate_directory(LEARNED) / name
    whole = path.read_bytes()
    for part in range(32):
        path.write_bytes(whole[: part * len(whole) // 32])
        assert str(path) in refusal(path.parent)
        place = part * len(whole) // 32
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << part % 8]) + whole[place + 1 :])
        assert str(path) in refusal(path.parent)
    path.unlink()
    assert str(path) in refusal(path.parent)


@pytest.mark.parametrize("name", ["manifest.json", "train.bin", "train_offsets.bin", "validation.bin"])
def test_one_byte_in_the_corpus_is_caught(damaged, name):
    path = damaged.corpus / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 16]))
    assert f"/{name}: " in refusal(damaged.certificate_directory(FIXED))
    path.unlink()
    assert f"/{name}: " in refusal(damaged.certificate_directory(FIXED))


# ---- numbers that are changed and sealed again -----------------------------------------------------


def changes(value: Any, path: tuple[Any, ...]) -> list[Any]:
    """A little more, a little less, another type: numbers by more than the tolerance that verification states."""
    if path[-2:] == ("lora", "alpha"):
        return [value + 1, value - 1, str(value)]
    if isinstance(value, int):
        return [value + 1, value - 1, str(value)]
    if isinstance(value, float):
        return [value + 2 * BOUND_TOLERANCE, value - 2 * BOUND_TOLERANCE, str(value)]
    if isinstance(value, str):
        return [("b" if value[:1] == "a" else "a") + value[1:], value + "x", ""]
    return [1, {}]


@pytest.fixture
def scored_once(monkeypatch):
    """A model with the same score of one document has the same scores of all, under the same terms."""
    known, original = {}, Sample.measure

    def measure(self, decoded, bitstream_sha256):
        probe = decoded.score([self.corpus.train.document(0)]).nll_nats_S.tobytes()
        key = (probe, self.terms, decoded.ledger, self.validation_documents, bitstream_sha256)
        if key not in known:
            known[key] = original(self, decoded, bitstream_sha256)
        return known[key]

    monkeypatch.setattr(Sample, "measure", measure)


@pytest.mark.parametrize("name", [LEARNED, "bigram"])
def test_every_leaf_that_is_changed_and_sealed_again_is_caught(damaged, scored_once, name):
    directory = damaged.certificate_directory(name)
    content, tried, uncaught = content_of(directory), 0, []
    few = content | {"best_of": content["best_of"][:2]}
    for path in leaves(few):
        if {path[:1], path[:2], path} & FREE or (name, path) == ("bigram", ("terms", "stride")):
            continue
        value = content
        for key in path:
            value = value[key]
        for other in changes(value, path):
            reseal(directory, changed(content, path, other))
            try:
                verify_language(directory)
                uncaught.append((path, value, other))
            except UserError:
                tried += 1
    assert not uncaught
    assert tried > 250
    reseal(directory, content)
    verify_language(directory)


def test_every_key_that_is_dropped_or_added_is_caught(damaged, scored_once):
    directory = damaged.certificate_directory(FIXED)
    content = content_of(directory)
    for key in content.keys() - {"sha256"}:
        reseal(directory, {name: value for name, value in content.items() if name != key})
        refusal(directory)
    for key in ("novelty", "claims"):
        reseal(directory, content | {key: None})
        refusal(directory)
    for key in ("bounds", "token_bounds", "top_k"):
        for rows in ([], content[key][1:], [*content[key], content[key][0]]):
            reseal(directory, content | {key: rows})
            refusal(directory)


def test_what_is_free_is_free(damaged):
    """The boundary of what a verification says; how a control of mode `learned` was trained is outside of it."""
    directory = damaged.certificate_directory(LEARNED)
    content = content_of(directory)
    content |= {"source_fingerprint": "other", "environment": {}, "trained_sha256": "other"}
    content["identity"]["mode"] = content["settings"]["cell"]["mode"] = "learned_random"
    content["terms"]["batch_tokens"] = content["settings"]["bounds"]["batch_tokens"] = 7
    content["settings"]["execution"]["threads"] = 5
    reseal(directory, content)
    verify_language(directory)


def test_tolerances_are_as_stated(damaged, scored_once):
    directory = damaged.certificate_directory(FIXED)
    content = content_of(directory)
    for path, tolerance in (
        (("description", "validation_bpd"), MEAN_TOLERANCE),
        (("top_k", 0, "bound"), BOUND_TOLERANCE),
    ):
        value = content[path[0]][path[1]] if len(path) == 2 else content["top_k"][0]["bound"]
        reseal(directory, changed(content, path, value + 0.9 * tolerance))
        verify_language(directory)
        reseal(directory, changed(content, path, value - 1.1 * tolerance))
        assert path[0] in refusal(directory)


# ---- forgeries that fit together -------------------------------------------------------------------


def test_a_bitstream_that_leaves_d_and_levels_unpaid_is_refused(damaged):
    directory = damaged.certificate_directory(FIXED)
    forge(directory, unpaid((directory / BITSTREAM_FILE).read_bytes()))
    assert "with sizes in the message" in refusal(directory)


@pytest.mark.parametrize(("name", "longest"), [(FIXED, 30), ("unigram", 256)])
def test_a_bitstream_that_claims_more_numbers_than_the_model_has_is_refused_at_once(damaged, name, longest):
    directory = damaged.certificate_directory(name)
    forge(directory, claiming(10**12))
    assert f"bitstream: expected at most {longest} numbers" in refusal(directory)


def test_other_splits_or_another_vector_have_other_losses(damaged):
    directory = damaged.certificate_directory(LEARNED)
    vector, splits = part_messages((directory / BITSTREAM_FILE).read_bytes(), "a test")
    forge(directory, join_messages(vector, bytes([splits[0] ^ 64]) + splits[1:]))
    assert refusal(directory).startswith(("description", "bounds", "bitstream"))
    coded = decode(vector)
    turned = encode(coded.codebook.levels - 1 - np.asarray(coded.symbols), coded.codebook)
    ledger = content_of(directory)["ledger"]
    forge(directory, join_messages(turned, splits))
    said = refusal(directory)
    assert said.startswith(("ledger", "description", "bounds")), (said, ledger)


def test_theta0_of_another_seed_is_refused(damaged):
    directory = damaged.certificate_directory(FIXED)
    content = content_of(directory)
    content["identity"]["seed"] = content["settings"]["cell"]["seed"] = 8
    reseal(directory, content)
    assert "theta0: expected SHA-256" in refusal(directory)


def test_scores_come_last(damaged, monkeypatch):
    """Whatever can be seen without them is seen first."""
    monkeypatch.setattr(recipe, "check_scores", lambda *_: pytest.fail("documents were scored"))
    directory = damaged.certificate_directory(FIXED)
    content = content_of(directory)
    for key in ("claim", "token_claim"):
        reseal(directory, content | {key: content[key] | {"bound_bpd": content[key]["bound_bpd"] - 1e-6}})
        assert f"{key}.bound_bpd: the certificate says" in refusal(directory)
    reseal(directory, content | {"code_bits": content["code_bits"] - 1.0})
    assert "code_bits" in refusal(directory)
