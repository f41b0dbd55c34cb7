"""Certificates of language models: every number again, token by token; splits that come from the bits; refusals."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import optimize

from certifuse.base.errors import UserError
from certifuse.base.randomness import derive_seed
from certifuse.base.rows import read_rows
from certifuse.certificates.coding.codec import decode
from certifuse.certificates.coding.split_code import decode_splits, encode_splits, rounding_charge, splits_bits
from certifuse.certificates.language import issue as certify_language
from certifuse.certificates.language.certificate import LanguageCertificate, read_language_certificate
from certifuse.certificates.language.claims import as_best_of
from certifuse.certificates.language.model import FlatParts, decode_sublora, split_ranges, start_of
from certifuse.certificates.language.verify import verify_language
from certifuse.evaluation.bounds.betting import betting_occam
from certifuse.evaluation.bounds.nested_betting import nested_betting_occam_subsampled
from certifuse.evaluation.language import subsample
from certifuse.evaluation.language.subsample import drawn_documents
from certifuse.models.compute import runtime as runtimes
from certifuse.models.subspace.allocation import Structure
from certifuse.models.subspace.trained_vector import load_vector
from certifuse.steps.certify_sublora import certify_sublora
from certifuse.steps.gather_gates import gather_gates
from certifuse.steps.gather_sublora import gather_sublora
from certifuse.study.cells import SubloraCell
from certifuse.study.paths import BITSTREAM_FILE
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.steps.gathering import GatherGates, GatheringFiles, GatherSublora

LEARNED, FIXED = SubloraCell(40, "learned", 7), SubloraCell(30, "fixed_0.5", 7)
V, START, CONTEXT, STRIDE, DELTA, ALPHAS, N = 256, 256, 24, 16, 0.1, (0.2, 0.5), 30


# ---- by hand ---------------------------------------------------------------------------------------


def draws(language, directory: Path, purpose: str, highest: int) -> list[int]:
    """n numbers below `highest` from the stream that bitstream, training documents and terms name."""
    terms = {"delta": DELTA, "alphas": ALPHAS, "subsample": N, "token_subsample": None, "top_k": [1, 10], "stride": 16}
    files = language.documents.manifest["parts"]["train"]["files"]
    texts = [json.dumps(value, sort_keys=True, separators=(",", ":")).encode() for value in (files, terms)]
    frozen = [(directory / BITSTREAM_FILE).read_bytes(), *texts]
    digest = hashlib.sha256("\n".join(hashlib.sha256(data).hexdigest() for data in frozen).encode()).hexdigest()
    stream = np.random.Generator(np.random.Philox(derive_seed(0, "certificate", purpose, digest)))
    return stream.integers(highest, size=N).tolist()


def two_messages(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:4], "big")
    return data[4 : 4 + length], data[4 + length :]


def start_by_hand(language, cell, certificate):
    description = certificate.model
    return start_of(description.network, description.projector, cell, language.documents.vocabulary)


def network_by_hand(language, cell, levels=3, turned=False):
    """theta0 + P w with w and splits taken out of the bytes; and the bits of both messages."""
    certificate = language.certificate(cell, levels)
    data = (language.certificate_directory(cell, levels) / BITSTREAM_FILE).read_bytes()
    start, splits, split_bits = start_by_hand(language, cell, certificate), (), 0
    vector = data
    if cell.mode == "learned":
        vector, rest = two_messages(data)
        choices = [budget.highest - budget.lowest + 1 for budget in start.budgets]
        split_bits = math.ceil(math.log2(math.prod(choices)))
        number = int.from_bytes(rest, "big") >> (8 * len(rest) - split_bits)
        for budget, count in zip(reversed(start.budgets), reversed(choices), strict=True):
            splits = (budget.lowest + number % count, *splits)
            number //= count
    coded = decode(vector)
    w_d = coded.codebook.centroids[coded.symbols] * (-1.0 if turned else 1.0)
    ratio = 0.5 if cell.mode == "fixed_0.5" else None
    mode = "fixed" if ratio else "learned"
    start.restore(Structure(mode=mode, ratio=ratio, splits=splits), torch.from_numpy(w_d.astype(np.float32)))
    message_bits = int.from_bytes(vector[6:10], "big")
    return start.network_at(start.vector), message_bits + split_bits, splits


@torch.no_grad()
def tokens_by_hand(network, document: np.ndarray) -> list[tuple[float, int]]:
    """(probability, rank) of each token of a document: one window after the other, one token after the other."""
    inputs, targets, found = [START, *document[:-1].tolist()], document.tolist(), []
    begin, done = 0, 0
    while done < len(targets):
        end = min(begin + CONTEXT, len(targets))
        logits_TV = network(torch.tensor([inputs[begin:end]]))[0, :, :V].double()
        for place in range(done, end):
            row = logits_TV[place - begin]
            probability = float(torch.softmax(row, 0)[targets[place]])
            found.append((probability, sum(value >= row[targets[place]] for value in row) - 1))
        begin, done = begin + STRIDE, end
    return found


def loss(tokens, alpha: float) -> float:
    return sum(-math.log2((1 - alpha) * p + alpha / V) for p, _ in tokens) / len(tokens)


def published(risk: float, alpha: float, bits: float, m: int) -> float:
    """Lotfi et al. 2024, arXiv 2312.17173, as printed."""
    width = math.log2(1 + (1 - alpha) * V / alpha)
    r = N / (N + m)
    first = math.sqrt((bits * math.log(2) + math.log(1 / (r * DELTA))) / (2 * m))
    return risk + width * (first + math.sqrt(math.log(1 / ((1 - r) * DELTA)) / (2 * N)))


def kl_by_hand(unit_risk: float, nats_per_example: float) -> float:
    """The largest p with kl(q || p) within the price, by a root finder."""

    def excess(p: float) -> float:
        q = unit_risk
        return q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p)) - nats_per_example

    return float(optimize.brentq(excess, unit_risk, 1 - 1e-15)) if excess(1 - 1e-15) > 0 else 1.0


def row_of(certificate: LanguageCertificate, name: str, alpha: float):
    (row,) = [row for row in certificate.bounds if (row.inequality, row.alpha) == (name, alpha)]
    return row


@pytest.mark.parametrize(("cell", "levels"), [(LEARNED, 3), (LEARNED, 7), (FIXED, 3)])
def test_a_certificate_equals_a_recount_by_hand(language, cell, levels):
    certificate, train = language.certificate(cell, levels), language.documents.train
    network, message_bits, splits = network_by_hand(language, cell, levels)
    bits, m = message_bits + math.log2(len(ALPHAS)), len(train)
    assert (certificate.code_bits, sum(certificate.ledger.values())) == pytest.approx((bits, bits), abs=1e-9)
    assert certificate.identity == {"model": "sublora", **cell.names(), "levels": levels}
    assert splits == load_vector(language.files(cell, levels).weights).structure.splits
    assert certificate.sizes.plain() == {
        "documents": 60, "tokens": sum(train.lengths), "vocabulary": V, "duplicates_dropped": 1,
    }  # fmt: skip

    drawn = draws(language, language.certificate_directory(cell, levels), "documents", m)
    scores = {index: tokens_by_hand(network, train.document(index)) for index in set(drawn)}
    for alpha in ALPHAS:
        losses = [loss(scores[index], alpha) for index in drawn]
        risk, low = float(np.mean(losses)), -math.log2(1 - alpha + alpha / V)
        width = math.log2(1 + (1 - alpha) * V / alpha)
        row = row_of(certificate, "published", alpha)
        assert row.risk_bpd == pytest.approx(risk, abs=1e-6)
        assert row.bound_bpd == pytest.approx(published(risk, alpha, bits, m), abs=1e-6)
        own = (message_bits, DELTA / len(ALPHAS))
        ours = nested_betting_occam_subsampled(losses, own[0], m, own[1], low, width)
        assert row_of(certificate, "nested_betting", alpha).bound_bpd == pytest.approx(ours, abs=3e-6 * width)
        r = N / (N + m)
        inner = kl_by_hand((risk - low) / width, -math.log((1 - r) * own[1]) / N)
        outer = kl_by_hand(inner, (own[0] * math.log(2) - math.log(r * own[1])) / m)
        assert row_of(certificate, "kl", alpha).bound_bpd == pytest.approx(low + width * outer, abs=1e-4)
    for row in certificate.top_k:
        wrong = [np.mean([rank >= row.k for _, rank in scores[index]]) for index in drawn]
        assert row.risk == pytest.approx(np.mean(wrong), abs=1e-9)
        bound = nested_betting_occam_subsampled(wrong, message_bits, m, DELTA)
        assert row.bound == pytest.approx(bound, abs=3e-6)
    claim = certificate.claim
    headline = {alpha: row_of(certificate, "nested_betting", alpha).bound_bpd for alpha in ALPHAS}
    assert (claim.inequality, claim.bound_bpd) == ("nested_betting", min(headline.values()))
    assert claim.alpha == min(headline, key=headline.__getitem__)
    spread = [loss(scores[index], claim.alpha) for index in drawn]
    assert certificate.description.deviation_bpd == pytest.approx(np.std(spread, ddof=1), abs=1e-6)


def test_the_claim_at_the_level_of_tokens_is_of_documents_that_are_drawn_by_length(language):
    certificate, train = language.certificate(FIXED), language.documents.train
    network, _, _ = network_by_hand(language, FIXED)
    directory = language.certificate_directory(FIXED)
    places = draws(language, directory, "tokens", sum(train.lengths))
    ends = np.cumsum(train.lengths)
    drawn = [next(index for index, end in enumerate(ends) if place < end) for place in places]
    assert sorted(drawn) != sorted(draws(language, directory, "documents", len(train)))
    scores = {index: tokens_by_hand(network, train.document(index)) for index in set(drawn)}
    for alpha in ALPHAS:
        risk = np.mean([loss(scores[index], alpha) for index in drawn])
        rows = [row for row in certificate.token_bounds if row.alpha == alpha]
        assert [row.inequality for row in rows] == ["published", "azuma", "azuma_betting"]
        assert [row.risk_bpd for row in rows] == pytest.approx([risk] * 3, abs=1e-6)
    assert "contexts of the training text" in certificate.token_claim.about
    assert certificate.token_claim.inequality == "azuma_betting"


def test_validation_documents_are_those_of_the_choice(language):
    network, _, _ = network_by_hand(language, FIXED)
    documents = drawn_documents(language.documents.validation, 6)
    losses = [np.mean([-math.log2(p) for p, _ in tokens_by_hand(network, document)]) for document in documents]
    description = language.certificate(FIXED).description
    assert (description.validation_bpd, description.validation_documents) == (pytest.approx(np.mean(losses)), 6)


def test_another_vector_or_other_splits_would_not_give_the_risk(language):
    """Negative control of the recount."""
    train = language.documents.train
    drawn = range(8)
    network, *_ = network_by_hand(language, LEARNED)
    turned, *_ = network_by_hand(language, LEARNED, turned=True)
    losses = [[loss(tokens_by_hand(net, train.document(i)), 0.2) for i in drawn] for net in (network, turned)]
    assert abs(np.mean(losses[0]) - np.mean(losses[1])) > 1e-3


# ---- the bits of splits ----------------------------------------------------------------------------


def test_splits_are_taken_from_the_bitstream(language, tmp_path):
    """The decoder's start knows no splits; other bits are other splits, and another function."""
    certificate, corpus = language.certificate(LEARNED), language.documents
    data = (language.certificate_directory(LEARNED) / BITSTREAM_FILE).read_bytes()
    vector, _ = two_messages(data)
    runtime = runtimes.start(ExecutionSettings(device="cpu", precision="fp32", compile="off"), training=False)

    def decoded(bitstream):
        start = start_by_hand(language, LEARNED, certificate)
        model = decode_sublora(bitstream, start, LEARNED, corpus.vocabulary, certificate.terms, runtime)
        scores = model.score([corpus.train.document(index) for index in range(5)])
        return start.structure.splits, model.ledger.rows(), scores.nll_nats_S

    ranges = split_ranges(start_by_hand(language, LEARNED, certificate))
    splits, rows, scores = decoded(data)
    assert splits == load_vector(language.files(LEARNED).weights).structure.splits
    other = tuple(
        choices[0] if split != choices[0] else choices[-1] for split, choices in zip(splits, ranges, strict=True)
    )
    message = encode_splits(other, ranges)
    found = decoded(len(vector).to_bytes(4, "big") + vector + message)
    assert found[0] == other
    assert not np.allclose(found[2], scores, atol=1e-3)
    paid = sum(bits for name, bits in rows.items() if name.startswith("split"))
    assert paid == pytest.approx(math.ceil(math.log2(math.prod(map(len, ranges)))))
    with pytest.raises(UserError, match="splits"):
        decoded(len(vector).to_bytes(4, "big") + vector)


RANGES = [range(0, 4), range(2, 9), range(5, 6), range(0, 300)]


def test_splits_come_back_and_cost_their_choices_rounded_up_once():
    for splits in [(0, 2, 5, 0), (3, 8, 5, 299), (1, 5, 5, 77)]:
        assert decode_splits(encode_splits(splits, RANGES), RANGES) == splits
    choices = math.log2(4 * 7 * 300)
    assert splits_bits(RANGES) == math.ceil(choices)
    assert rounding_charge(RANGES).bits == pytest.approx(math.ceil(choices) - choices)
    assert encode_splits((5,), [range(5, 6)]) == b""
    assert decode_splits(b"", [range(5, 6)]) == (5,)
    with pytest.raises(ValueError):
        encode_splits((4, 2, 5, 0), RANGES)


def test_bytes_that_are_no_splits_are_refused():
    data = encode_splits((3, 8, 5, 299), RANGES)
    assert splits_bits(RANGES) == 14
    for wrong in (data[:-1], data + b"\0", b"\xff\xfc", bytes([data[0], data[1] | 1])):
        with pytest.raises(UserError, match="bitstream: "):
            decode_splits(wrong, RANGES)


# ---- order of events, and the same again -----------------------------------------------------------


def test_documents_are_drawn_once_the_bitstream_is_on_disk(language, tmp_path, monkeypatch):
    seen, written = [], tmp_path / "made" / BITSTREAM_FILE
    for name in ("draw_documents", "draw_documents_by_length"):
        original = getattr(subsample, name)

        def watched(*arguments, original=original):
            seen.append(written.read_bytes())
            return original(*arguments)

        monkeypatch.setattr(certify_language, name, watched)
    language.certify(FIXED, directory=tmp_path / "made")
    assert len(seen) >= 2
    assert set(seen) == {written.read_bytes()}


def test_what_is_scored_is_what_is_on_disk(language, tmp_path, monkeypatch):
    """As if the disk held the model of the other number of levels: the certificate would be of that one."""
    other = (language.certificate_directory(FIXED, 7) / BITSTREAM_FILE).read_bytes()
    original = certify_language.write_bitstream
    monkeypatch.setattr(certify_language, "write_bitstream", lambda directory, _: original(directory, other))
    language.certify(FIXED, 3, directory=tmp_path / "made")
    made = json.loads((tmp_path / "made" / "certificate.json").read_text())
    assert made["bounds"] == [row.plain() for row in language.certificate(FIXED, 7).bounds]
    assert made["drawn_sha256"] == language.certificate(FIXED, 7).drawn_sha256, "the draw is that of the bits on disk"


def certified(directory: Path) -> dict:
    content = json.loads((directory / "certificate.json").read_text())
    return {key: value for key, value in content.items() if key not in ("environment", "corpus", "sha256")}


def test_the_same_again_and_other_terms_have_another_draw(language, tmp_path):
    first = certified(language.certificate_directory(LEARNED))
    assert certified(language.certify(LEARNED, directory=tmp_path / "again")) == first
    batches = certified(language.certify(LEARNED, directory=tmp_path / "batches", batch_tokens=500))
    assert batches["drawn_sha256"] == first["drawn_sha256"], "the size of a batch is no term of the claim"
    other = certified(language.certify(LEARNED, directory=tmp_path / "other", alphas=[0.2]))
    assert other["bitstream_sha256"] == first["bitstream_sha256"]
    assert other["drawn_sha256"] != first["drawn_sha256"], "negative control: other terms"
    assert other["statement"] != first["statement"]


@pytest.mark.parametrize(("cell", "levels"), [(FIXED, 7), (LEARNED, 3), (SubloraCell(30, "fixed_0.5", 8), 3)])
def test_weights_of_another_cell_are_refused(language, tmp_path, cell, levels):
    with pytest.raises(UserError, match="expected the numbers of") as raised:
        certify_sublora(language.step(cell, levels), language.files(FIXED, 3, tmp_path))
    assert "\n" not in str(raised.value)


# ---- tables of counts ------------------------------------------------------------------------------


def test_the_uniform_table_is_the_vacuous_line_for_the_choice_of_smoothing_alone(language):
    certificate = language.certificate("uniform")
    assert (language.certificate_directory("uniform") / BITSTREAM_FILE).read_bytes() == b""
    assert certificate.ledger == {"smoothing alpha": 1.0}
    assert [row.risk_bpd for row in certificate.bounds] == pytest.approx([8.0] * len(certificate.bounds))
    assert certificate.claim.bound_bpd > 8.0


def test_a_unigram_by_hand(language):
    certificate, train = language.certificate("unigram"), language.documents.train
    data = (language.certificate_directory("unigram") / BITSTREAM_FILE).read_bytes()
    coded = decode(data)
    weights = np.exp(coded.values.astype(np.float64))
    probability = weights / weights.sum()
    for alpha in ALPHAS:
        directory = language.certificate_directory("unigram")
        drawn = [train.document(index) for index in draws(language, directory, "documents", len(train))]
        losses = [np.mean(-np.log2((1 - alpha) * probability[document] + alpha / V)) for document in drawn]
        assert row_of(certificate, "published", alpha).risk_bpd == pytest.approx(np.mean(losses), abs=1e-9)
    assert certificate.code_bits == int.from_bytes(data[6:10], "big") + 1.0
    assert certificate.identity == {"model": "ngram", "mode": "unigram"}
    assert certificate.description.unsmoothed_bpd < 5.0
    assert language.certificate("bigram").description.unsmoothed_bpd < certificate.description.unsmoothed_bpd


def test_documents_are_counted_some_at_a_time(language):
    documents, vocabulary = language.documents.train, language.documents.vocabulary
    parts = list(FlatParts(documents, vocabulary, part_tokens=100))
    assert len(parts) > 10
    np.testing.assert_array_equal(np.concatenate([part.targets_S for part in parts]), documents.tokens)
    assert len(list(FlatParts(documents, vocabulary, part_tokens=1))) == len(documents)
    assert len(list(FlatParts(documents, vocabulary))) == 1


def test_the_claim_on_tokens_can_have_a_draw_of_its_own_size(language, tmp_path):
    fewer = certified(language.certify(LEARNED, directory=tmp_path / "fewer", token_subsample=10))
    more = certified(language.certify(LEARNED, directory=tmp_path / "more", token_subsample=3000))
    assert more["token_claim"]["bound_bpd"] < fewer["token_claim"]["bound_bpd"]


# ---- all documents ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [FIXED, "unigram"])
def test_all_documents_scored_by_hand(language, tmp_path, name):
    """No draw, one step: betting on the losses of all 60 documents, with the choice of the smoothing in the bits."""
    train = language.documents.train
    if isinstance(name, str):
        directory = language.certify_ngram(name, directory=tmp_path, subsample="all")
        weights = np.exp(decode((directory / BITSTREAM_FILE).read_bytes()).values.astype(np.float64))
        scores = [[(weights[token] / weights.sum(), 0) for token in train.document(i)] for i in range(len(train))]
    else:
        directory = language.certify(name, directory=tmp_path, subsample="all")
        network, _, _ = network_by_hand(language, name)
        scores = [tokens_by_hand(network, train.document(index)) for index in range(len(train))]
    certificate = read_language_certificate(directory)
    assert certificate.drawn_sha256 == {}
    assert {row.inequality for row in certificate.bounds} == {"published", "hoeffding", "kl", "bernstein", "betting"}
    for alpha in ALPHAS:
        low, width = -math.log2(1 - alpha + alpha / V), math.log2(1 + (1 - alpha) * V / alpha)
        losses = np.array([loss(tokens, alpha) for tokens in scores])
        row = row_of(certificate, "betting", alpha)
        assert (row.risk_bpd, row.subsampling_bpd) == (pytest.approx(losses.mean(), abs=1e-6), 0.0)
        bound = betting_occam((losses - low) / width, certificate.code_bits, DELTA)
        assert row.bound_bpd == pytest.approx(low + width * bound, abs=1e-4)
        of_tokens = sum(loss(tokens, alpha) * len(tokens) for tokens in scores) / sum(train.lengths)
        price = width * math.sqrt(
            (certificate.code_bits * math.log(2) - math.log(DELTA)) / (2 * int(sum(train.lengths)))
        )
        (token_row,) = [row for row in certificate.token_bounds if row.alpha == alpha]
        assert (token_row.risk_bpd, token_row.bound_bpd) == pytest.approx((of_tokens, of_tokens + price), abs=1e-6)
    assert certificate.claim.inequality == "betting"
    assert verify_language(directory) == certificate


def test_documents_scored_some_at_a_time_have_the_same_losses(language, tmp_path, monkeypatch):
    whole = certified(language.certify(FIXED, directory=tmp_path / "whole", subsample="all"))
    monkeypatch.setattr(certify_language, "PART_TOKENS", 100)
    parts = certified(language.certify(FIXED, directory=tmp_path / "parts", subsample="all"))
    assert parts["claim"] == pytest.approx(whole["claim"], abs=1e-6)


def test_the_best_of_many_certificates_pays_in_both_steps(language, tmp_path):
    """delta / M and delta / (M A): the bound as the best of 48 is that of a draw at a 48th of delta."""
    certificate, train = language.certificate(FIXED), language.documents.train
    network, message_bits, _ = network_by_hand(language, FIXED)
    drawn = draws(language, language.certificate_directory(FIXED), "documents", len(train))
    alpha = certificate.claim.alpha
    low, width = -math.log2(1 - alpha + alpha / V), math.log2(1 + (1 - alpha) * V / alpha)
    losses = [loss(tokens_by_hand(network, train.document(index)), alpha) for index in drawn]
    share = DELTA / len(ALPHAS) / 48
    expected = nested_betting_occam_subsampled(losses, message_bits, len(train), share, low, width)
    assert as_best_of(certificate, 48) == pytest.approx(expected, abs=3e-6 * width)
    assert as_best_of(certificate, 1) == certificate.claim.bound_bpd < as_best_of(certificate, 2)
    assert as_best_of(certificate, 33) == as_best_of(certificate, 48)
    assert as_best_of(certificate, 10**6) is None


# ---- what is gathered ------------------------------------------------------------------------------


def test_the_metrics_of_the_guide(language):
    certificate = language.certificate(LEARNED)
    metrics = json.loads((language.certificate_directory(LEARNED) / "bounds_metrics.json").read_text())
    assert metrics["kl_divergence"] == pytest.approx(certificate.code_bits * math.log(2))
    assert metrics["empirical_bpd"] == certificate.claim.risk_bpd
    assert metrics["bound_value"] == certificate.claim.bound_bpd
    assert metrics["compressed_size_bits"] == sum(metrics["ledger_bits"].values())
    assert set(metrics["units"]) <= set(metrics)


def test_gathered_tables(language, tmp_path):
    study = language.copy(tmp_path / "study")
    step = GatherSublora(levels=(3, 7, 11), cells=(LEARNED, FIXED), ngrams=("uniform", "unigram", "bigram"))
    gather_sublora(step, GatheringFiles(results_dir=study.root, source="test"))
    rows = {path.stem: read_rows(path) for path in (study.root / "metrics").glob("*.csv")}
    certificate = language.certificate(FIXED, 7)
    (row,) = [r for r in rows["sublora"] if (r["mode"], r["levels"]) == ("fixed_0.5", "7")]
    manifest = json.loads((language.directory(FIXED) / "manifest.json").read_text())
    expected = {
        "model": "sublora", "d": 30, "seed": 7, "ratio": 0.5, "documents": 60, "subsample": 30, "vocabulary": 256,
        "delta": 0.1, "alphas": 2, "alpha": certificate.claim.alpha, "risk_bpd": certificate.claim.risk_bpd,
        "bound_best_bpd": certificate.claim.bound_bpd, "code_bits": certificate.code_bits, "vacuous_bpd": 8.0,
        "kl_nats": certificate.code_bits * math.log(2), "vector_size": 30, "effective_directions": 30,
        "weights": 2 * (2 * 2 * 32 + 16 + 257), "top1_risk": certificate.top_k[0].risk,
        "validation_bpd_unquantised": manifest["best_rows"]["full_precision"]["validation_bpd"],
    }  # fmt: skip
    for name, value in expected.items():
        assert row[name] == value or float(row[name]) == pytest.approx(value), name
    assert (row["candidates"], float(row["bound_best_of_bpd"])) == ("9", as_best_of(certificate, 9))
    for name in ("published", "hoeffding", "kl", "bernstein", "betting"):
        lowest = min(bound.bound_bpd for bound in certificate.bounds if bound.inequality == name)
        assert float(row[f"bound_{name}_bpd"]) == lowest
    assert [r["mode"] for r in rows["sublora"] if r["model"] == "ngram"] == ["uniform", "unigram", "bigram"]
    assert len(rows["sublora"]) == 7
    terms = [r for r in rows["sublora_terms"] if (r["mode"], r["levels"]) == ("fixed_0.5", "7")]
    assert {r["inequality"] for r in terms} == {b.inequality for b in certificate.bounds}
    for r in terms:
        parts = [float(r[name]) for name in ("risk_bpd", "subsampling_bpd", "complexity_bpd", "bound_bpd")]
        assert sum(parts[:3]) == pytest.approx(parts[3])
    charged = [float(r["bits"]) for r in rows["sublora_ledgers"] if (r["mode"], r["levels"]) == ("fixed_0.5", "7")]
    assert sum(charged) == pytest.approx(certificate.code_bits)
    assert {r["stage"] for r in rows["sublora_logs"]} == {"full_precision", "levels_3", "levels_7"}
    missing = [(r["d"], r["mode"], r["levels"], r["reason"]) for r in rows["missing_sublora"]]
    said = "no certificate was written"
    assert missing == [("40", "learned", "11", said), ("30", "fixed_0.5", "11", said)]


def test_gathered_gates_need_no_certificate(language, tmp_path):
    study = language.copy(tmp_path / "study")
    for certificate in study.root.glob("sublora/**/certificate.json"):
        certificate.unlink()
    absent = replace(LEARNED, seed=LEARNED.seed + 1)
    gather_gates(GatherGates(cells=(LEARNED, absent)), GatheringFiles(results_dir=study.root, source="test"))
    rows = {path.stem: read_rows(path) for path in (study.root / "metrics").glob("*.csv")}
    gates = [(r["group"], int(r["split"])) for r in rows["sublora_gates"]]
    splits = load_vector(language.files(LEARNED).weights).structure.splits
    assert gates == list(zip(("layer_0", "layer_1", "head"), splits, strict=True))
    assert all(float(r["gamma"]) == int(r["split"]) / int(r["budget"]) for r in rows["sublora_gates"])
    assert [(r["seed"], r["reason"]) for r in rows["missing_sublora_gates"]] == [("8", "it was not trained")]
