"""Whoever knows how certificates of language models are made, and wants a false one verified.

Every digest, seal and word is computed again for a forgery; what is claimed is false, and that has to be seen.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from language_forgeries import changed, content_of, leaves, reseal, value_at

from certifuse.base.digests import canonical_json
from certifuse.base.errors import UserError
from certifuse.base.files import write_json
from certifuse.certificates.expectations import expect
from certifuse.certificates.language import issue, limits
from certifuse.certificates.language import verify as recipe
from certifuse.certificates.language.certificate import BoundRow, LanguageCertificate
from certifuse.certificates.language.claims import claims_of
from certifuse.certificates.language.issue import Sample
from certifuse.certificates.language.verify import BOUND_TOLERANCE, verify_language
from certifuse.certificates.language.words import sample_words, statement
from certifuse.cli.main import main
from certifuse.data.text.corpus import corpus_digest
from certifuse.study.cells import SubloraCell
from certifuse.study.paths import CERTIFICATE_FILE
from certifuse.study.settings.sublora import SubloraBounds

FIXED = SubloraCell(30, "fixed_0.5", 7)


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


# ---- draws and smoothings that were looked for -----------------------------------------------------


def test_a_draw_that_was_tried_until_it_looked_good_is_refused(damaged, monkeypatch):
    """Of eight seeds the one with the lowest bound, and everything that follows from its draw."""
    found = []
    for seed in range(8):
        monkeypatch.setattr(issue, "frozen_digest", lambda *_, seed=seed: str(seed))
        damaged.certify_ngram("unigram")
        found.append((damaged.certificate("unigram").claim.bound_bpd, seed))
    monkeypatch.setattr(issue, "frozen_digest", lambda *_: str(min(found)[1]))
    directory = damaged.certify_ngram("unigram")
    verify_language(directory)  # with the forger's own rule it holds together
    monkeypatch.undo()
    assert damaged.certificate("unigram").claim.bound_bpd == min(found)[0] < max(found)[0]
    assert refusal(directory).startswith("drawn_sha256")


def test_smoothings_that_were_listed_afterwards_are_refused(damaged, language, monkeypatch):
    """The draw of the study, looked at, and then the one smoothing that is best on it, for no bits."""
    honest = language.certificate("unigram")
    own = Sample(language.documents, honest.terms, 1)
    frozen = issue.frozen_digest(honest.bitstream_sha256, language.documents.train.digest, own.terms.sha256)
    monkeypatch.setattr(issue, "frozen_digest", lambda *_: frozen)
    directory = damaged.certify_ngram("unigram", alphas=[0.6])
    assert damaged.certificate("unigram").claim.bound_bpd < honest.claim.bound_bpd - 0.1
    monkeypatch.undo()
    assert refusal(directory).startswith("drawn_sha256")
    content = content_of(directory)
    content["settings"]["bounds"] = honest.terms.plain()
    reseal(directory, content)
    assert refusal(directory).startswith("settings.bounds.alphas")


def test_with_a_draw_of_their_own_other_smoothings_are_other_terms_for_all_to_see(damaged, language, capsys):
    directory = damaged.certify_ngram("unigram", alphas=[0.6])
    assert main(["verify", "--json", str(directory), "--threads", "1"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["terms_sha256"] != language.certificate("unigram").terms.sha256
    assert row["terms_sha256"] in damaged.certificate("unigram").statement


def test_what_is_on_trust_is_said(damaged, capsys):
    assert main(["verify", str(damaged.certificate_directory("unigram"))]) == 0
    assert "on trust: " in (said := capsys.readouterr().out)
    assert "draw" in said.split("on trust: ")[1]
    assert main(["verify", str(damaged.certify_ngram("unigram", subsample="all"))]) == 0
    assert "of their draw" not in capsys.readouterr().out.split("on trust: ")[1]


# ---- documents -------------------------------------------------------------------------------------


def with_train(corpus: Path, tokens: np.ndarray, offsets: np.ndarray) -> None:
    """Other training documents, and a manifest as if they had been prepared so."""
    tokens.astype("u1").tofile(corpus / "train.bin")
    offsets.astype("<i8").tofile(corpus / "train_offsets.bin")
    manifest = json.loads((corpus / "manifest.json").read_text())
    facts = manifest["parts"]["train"]
    facts |= {"documents": len(offsets) - 1, "read": len(offsets) - 1, "tokens": len(tokens), "duplicates": 0}
    for name in facts["files"]:
        data = (corpus / name).read_bytes()
        facts["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    write_json(corpus / "manifest.json", manifest | {"digest": corpus_digest(manifest)})


def test_one_text_many_times_is_one_document(damaged):
    copies = 5000
    with_train(damaged.corpus, np.tile(np.frombuffer(b"aaaa", "u1"), copies), 4 * np.arange(copies + 1))
    for subsample in (500, "all"):
        directory = damaged.certify_ngram("unigram", subsample=subsample)
        assert damaged.certificate("unigram").claim.bound_bpd < 1.1, "what it would be worth"
        said = refusal(directory)
        assert "4999 copies among 5000 training documents" in said


def test_documents_that_overlap_or_that_are_no_documents_are_refused(damaged):
    tokens = np.frombuffer(b"some text of one document", "u1")
    for offsets in ([0, 20, 5, 25], [0, 9, 9, 25], [-3, 9, 25], [0, 9, 24], [0, 2**62, 25]):
        with_train(damaged.corpus, tokens, np.array(offsets))
        content = content_of(damaged.certificate_directory("unigram"))
        digest = hashlib.sha256((damaged.corpus / "manifest.json").read_bytes()).hexdigest()
        content["corpus"]["sha256"] = digest
        reseal(damaged.certificate_directory("unigram"), content)
        assert "train_offsets.bin: expected documents" in refusal(damaged.certificate_directory("unigram"))


def test_a_vocabulary_of_no_tokeniser_is_refused(damaged):
    path = damaged.corpus / "manifest.json"
    manifest = json.loads(path.read_text())
    directory = damaged.certificate_directory("uniform")
    for vocabulary, said in (
        ({"size": 255}, "expected the vocabulary of a known tokeniser"),
        ({"start_token": 5}, "expected the vocabulary of a known tokeniser"),
        ({"size": 10**9}, "expected the manifest of a prepared corpus"),
        ({"size": "256"}, "expected the manifest of a prepared corpus"),
        ({"more": 1}, "expected the manifest of a prepared corpus"),
    ):
        other = manifest | {"vocabulary": manifest["vocabulary"] | vocabulary}
        write_json(path, other | {"digest": corpus_digest(other)})
        content = content_of(directory)
        content["corpus"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        reseal(directory, content)
        assert said in refusal(directory)


# ---- sizes that no file justifies ------------------------------------------------------------------

HUGE = [
    (("model", "network", "width"), 12 * 10**7, "model.network: expected at most 2000000000 weights"),
    (("model", "network", "context"), 10**13, "model.network.context: expected at most 16384 tokens"),
    (("model", "network", "layers"), 10**9, "model.network.layers: "),
    (("model", "network", "layers"), 0, "model.network.layers: "),
    (("model", "network", "lora", "rank"), 10**12, "model.network: "),
    (("identity", "d"), 10**12, "identity.d: expected 1 to "),
    (("identity", "d"), 0, "identity.d: expected 1 to "),
    (("terms", "batch_tokens"), 10**12, "terms.batch_tokens: "),
    (("terms", "subsample"), 10**12, "terms.subsample"),
    (("terms", "token_subsample"), 10**12, "terms.token_subsample: "),
    (("terms", "alphas"), [0.1 + 1e-6 * k for k in range(1000)], "terms.alphas: "),
    (("terms", "top_k"), list(range(1, 1000)), "terms.top_k: "),
    (("terms", "stride"), 10**9, "terms.stride: expected at most the context"),
]


@pytest.mark.parametrize(("path", "value", "said"), HUGE, ids=[f"{'.'.join(p)}={str(v)[:9]}" for p, v, _ in HUGE])
def test_sizes_beyond_all_reason_are_refused_before_anything_is_built(damaged, monkeypatch, path, value, said):
    directory = damaged.certificate_directory(FIXED)
    for builder in ("described_start", "decode_sublora"):
        monkeypatch.setattr(recipe, builder, lambda *_: pytest.fail("something was built"))
    monkeypatch.setattr(Sample, "drawn_sha256", lambda self, _: content["drawn_sha256"])
    content = content_of(directory)
    reseal(directory, consistent(changed(content, path, value)))
    assert refusal(directory).replace(f"{directory / CERTIFICATE_FILE}: ", "").startswith(said)


def test_sizes_are_those_of_the_network_that_is_built(language):
    """And a network within the limits that this machine cannot hold is refused by its memory."""
    certificate, vocabulary = language.certificate(FIXED), language.documents.vocabulary
    network = certificate.model.network
    built = recipe.described_start(certificate.model, FIXED, vocabulary).network
    sizes = {name: tensor.numel() for name, tensor in built.named_parameters()}
    lora = sum(count for name, count in sizes.items() if name.endswith(("a_rI", "b_Or")))
    assert limits.lora_weights(network, vocabulary.inputs) == lora
    assert limits.base_weights(network, vocabulary.inputs) == sum(sizes.values()) - lora
    limits.check_network(network, FIXED, vocabulary.inputs, 1 << 14)
    with pytest.raises(UserError, match="the language model and a batch: needs "):
        limits.check_network(network, FIXED, vocabulary.inputs, 1 << 50)


# ---- files beside, and of an older version ---------------------------------------------------------


@pytest.mark.parametrize("name", ["manifest.json", "bounds_metrics.json"])
def test_every_byte_of_the_files_beside_counts(damaged, name):
    path = damaged.certificate_directory("bigram") / name
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert name in refusal(path.parent)


def test_nothing_else_lies_beside_it(damaged):
    directory = damaged.certificate_directory("bigram")
    (directory / "README.txt").write_text("better than it looks")
    assert "README.txt: expected" in refusal(directory)


def test_an_older_version_is_named_and_how_to_renew_it(damaged):
    directory = damaged.certificate_directory("bigram")
    reseal(directory, content_of(directory) | {"format": 1})
    said = refusal(directory)
    assert "format 2, found 1" in said
    assert "run the study again" in said


# ---- chance ----------------------------------------------------------------------------------------


def consistent(content: dict[str, Any]) -> dict[str, Any]:
    """A forgery with all that follows from its parts, as far as something does: words, settings, sums and claims."""
    content["settings"]["bounds"] = content["terms"]
    content["code_bits"] = math.fsum(content["ledger"].values())
    if content["model"] is not None:
        content["settings"]["model"] = content["settings"]["model"] | content["model"]["network"]
        content["settings"]["projector"] = content["model"]["projector"]
        content["settings"]["cell"] = {name: content["identity"][name] for name in ("d", "mode", "seed")}
        content["settings"]["cell_levels"] = content["identity"]["levels"]
    try:
        terms = SubloraBounds.from_json(json.dumps(content["terms"]))
        content |= {"statement": statement(terms), "sample": sample_words(terms)}
        rows = [[BoundRow(**row) for row in content[name]] for name in ("bounds", "token_bounds")]
        content["claim"], content["token_claim"] = (claim.plain() for claim in claims_of(*rows, terms))
    except (ValueError, TypeError, UserError):  # no certificate at all
        pass
    return content


def forgery(rng: np.random.Generator, content: dict[str, Any]) -> dict[str, Any]:
    """One to three leaves changed: a nudge, another size, another sign, the value of another leaf, a neighbour."""
    forged = content
    places = [path for path in leaves(content) if path[0] not in ("settings", "environment", "sha256", "corpus")]
    parts = sorted({path[0] for path in places})
    for _ in range(rng.integers(1, 4)):
        part = parts[rng.integers(len(parts))]
        own = [path for path in places if path[0] == part]
        path = own[rng.integers(len(own))]
        value = value_at(content, path)
        other = value_at(content, places[rng.integers(len(places))])
        if isinstance(value, float):
            sizes = [value - 2.5 * BOUND_TOLERANCE, 0.9 * value, 0.5 * value, -value, 0.0, value + 1.0]
        elif isinstance(value, int):
            sizes = [value - 1, value + 1, 2 * value, 10 * value, 0]
        else:
            sizes = [value[::-1]] if isinstance(value, str) else [value]
        choices = [*sizes, other] if type(other) is type(value) else sizes
        forged = changed(forged, path, choices[rng.integers(len(choices))])
    return consistent(forged)


CLAIMED = ("kind", "identity", "terms", "code_bits", "ledger", "sizes", "drawn_sha256", "claim", "best_of", "bounds")
CLAIMED += ("top_k", "token_claim", "token_bounds", "description", "model", "statement", "sample", "bitstream_sha256")


class Truth:
    """The oracle: the certificate that the same bits get under the terms of a forgery, derived from the files again."""

    def __init__(self, study: Any, scratch: Path) -> None:
        self.study, self.scratch = study, scratch
        self.known: dict[str, dict[str, Any]] = {}

    def tells(self, content: dict[str, Any]) -> bool:
        terms = canonical_json(content["terms"])
        if terms not in self.known:
            directory = self.study.certify_ngram("unigram", directory=self.scratch, **content["terms"])
            self.known[terms] = content_of(directory)
        true = self.known[terms]
        return all(close(content[name], true[name]) for name in CLAIMED)


def close(said: Any, true: Any) -> bool:
    """Equal, numbers that were measured up to the tolerance that verification states."""
    if isinstance(said, float) and isinstance(true, float):
        return abs(said - true) <= BOUND_TOLERANCE
    if isinstance(said, dict) and isinstance(true, dict):
        return said.keys() == true.keys() and all(close(said[name], true[name]) for name in said)
    if isinstance(said, list) and isinstance(true, list):
        return len(said) == len(true) and all(map(close, said, true))
    return type(said) is type(true) and said == true


@pytest.fixture(scope="module")
def arena(language, tmp_path_factory) -> tuple[Any, Truth]:
    """A copy of the study to forge in, and the truth."""
    root = tmp_path_factory.mktemp("arena")
    return language.copy(root / "study"), Truth(language, root / "truth")


@pytest.fixture
def measured_once(monkeypatch):
    """Scores and bounds are the same for the same bits and terms: derived once for each."""
    known, original = {}, Sample.measure

    def measure(self, decoded, bitstream_sha256):
        key = (bitstream_sha256, self.terms, self.validation_documents, self.corpus.digest)
        if key not in known:
            known[key] = original(self, decoded, bitstream_sha256)
        return known[key]

    monkeypatch.setattr(Sample, "measure", measure)


def verified_lie(arena: tuple[Any, Truth], tries: int, seed: int) -> dict[str, Any] | None:
    """The first forgery that verification accepts and the oracle does not."""
    study, truth = arena
    directory, rng, lie = study.certificate_directory("unigram"), np.random.default_rng(seed), None
    content = content_of(directory)
    for _ in range(tries):
        forged = forgery(rng, content)
        reseal(directory, forged)
        try:
            verify_language(directory)
        except UserError:
            continue
        if not truth.tells(forged):
            lie = forged
            break
    reseal(directory, content)
    verify_language(directory)
    return lie


def test_no_chance_forgery_is_verified(arena, measured_once):
    assert verified_lie(arena, tries=200, seed=0) is None


def ignoring(*names: str):
    def lenient(where: str, *arguments: Any, **options: Any) -> None:
        if not where.startswith(names):
            expect(where, *arguments, **options)

    return lenient


WEAKNESSES = {
    "scores are believed": ("check_scores", lambda *_: None),
    "bits are believed": ("check_code", lambda *_: None),
    "sizes are believed": ("expect", ignoring("sizes")),
    "draws are believed": ("expect", ignoring("drawn_sha256")),
    "names are believed": ("check_words_and_claims", lambda *_: None),
}


@pytest.mark.parametrize("weakness", WEAKNESSES)
def test_a_planted_weakness_is_found_by_chance(arena, measured_once, monkeypatch, weakness):
    monkeypatch.setattr(recipe, *WEAKNESSES[weakness])
    monkeypatch.setattr(recipe, "worse_claim", lambda certificate, _: certificate.claim)
    assert verified_lie(arena, tries=200, seed=1) is not None


def test_the_oracle_knows_the_truth_and_a_lie(arena):
    study, truth = arena
    content = content_of(study.certificate_directory("unigram"))
    assert truth.tells(content)
    assert not truth.tells(changed(content, ("claim", "bound_bpd"), content["claim"]["bound_bpd"] - 1e-3))
    assert LanguageCertificate.from_json(canonical_json({k: v for k, v in content.items() if k != "sha256"}))
