"""Verification: sound certificates pass; damaged bytes, and numbers that are sealed again, are caught by name."""

import copy
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bitstreams import claiming, unpaid
from forging import content_of, holder_of, leaves, reseal

from certifuse.base.errors import UserError
from certifuse.certificates.coding.codec import decode, encode
from certifuse.certificates.images import verify as recipe
from certifuse.certificates.images.certificate import read_certificate
from certifuse.certificates.images.issue import statement_of
from certifuse.certificates.images.judge import Measured, Verdict
from certifuse.certificates.images.verify import verify_certificate
from certifuse.evaluation.images.decisions import Decisions
from certifuse.models.subspace.codebook import Codebook
from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE

KINDS = ("subspace", "joint")
FREE = {"settings", "environment", "source_fingerprint", "sha256"}
"""Not derived: how the encoder came to its bits has no part in the claim."""


@pytest.fixture
def damaged(certified, tmp_path) -> Any:
    """A copy of the study, to damage."""
    return certified.copy(tmp_path / "damaged")


def refusal(directory: Path) -> str:
    """The one line that says what differs."""
    with pytest.raises(UserError) as raised:
        verify_certificate(directory)
    said = str(raised.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_certificate_is_verified_wherever_it_lies(certified, damaged, kind):
    assert verify_certificate(getattr(certified, kind)) == verify_certificate(getattr(damaged, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_threads_does_not_matter(certified, kind):
    assert verify_certificate(getattr(certified, kind), threads=2).kind == kind


# ---- damaged files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [BITSTREAM_FILE, CERTIFICATE_FILE])
def test_truncation_at_each_64th_is_caught(damaged, kind, name):
    path = getattr(damaged, kind) / name
    whole = path.read_bytes()
    for part in range(64):
        path.write_bytes(whole[: part * len(whole) // 64])
        assert str(path) in refusal(path.parent)
    path.unlink()
    assert str(path) in refusal(path.parent)


def sections(data: bytes) -> dict[str, range]:
    """The parts of the container of a bitstream."""
    end = len(data) - 32
    return {
        "magic": range(0, 4),
        "version": range(4, 5),
        "flags": range(5, 6),
        "length": range(6, 10),
        "message": range(10, end),
        "digest": range(end, len(data)),
    }


def test_a_flipped_bit_in_each_section_of_the_bitstream_is_caught(damaged):
    path = damaged.subspace / BITSTREAM_FILE
    whole = path.read_bytes()
    for places in sections(whole).values():
        for place in {places[0], places[len(places) // 2], places[-1]}:
            for bit in range(8):
                flipped = bytearray(whole)
                flipped[place] ^= 1 << bit
                path.write_bytes(bytes(flipped))
                assert f"{path}: the certificate says" in refusal(path.parent)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_in_each_field_of_the_certificate_is_caught(damaged, kind):
    path = getattr(damaged, kind) / CERTIFICATE_FILE
    whole = path.read_bytes()
    for key in json.loads(whole):
        start = whole.index(f'\n  "{key}": '.encode()) + 4
        for place in (start, start + len(key) + 3):
            flipped = bytearray(whole)
            flipped[place] ^= 2
            path.write_bytes(bytes(flipped))
            assert str(path) in refusal(path.parent)


NEEDED = {
    "subspace": ("images", "splits", "expert_0_best", "expert_1_best", "expert_0/cell/manifest"),
    "joint": (
        *("images", "splits", "expert_0_best", "expert_1/cell/manifest", "resnet_expert_1_lambda", "fusion_best"),
        *("global_head_best", "trained/cell/manifest"),
    ),
}


@pytest.mark.parametrize(("kind", "part"), [(kind, part) for kind, parts in NEEDED.items() for part in parts])
def test_one_byte_in_any_other_file_is_caught(damaged, kind, part):
    directory = getattr(damaged, kind)
    text = (directory / CERTIFICATE_FILE).read_text()
    named = [line.split('"')[3] for line in text.splitlines() if '"path": ' in line]
    (path,) = [directory / name for name in dict.fromkeys(named) if part in name]
    whole = path.read_bytes()
    for place in (0, len(whole) // 2, len(whole) - 1):
        flipped = bytearray(whole)
        flipped[place] ^= 16
        path.write_bytes(bytes(flipped))
        assert f"{path}: the certificate says" in refusal(directory)
    path.unlink()
    assert f"{path}: expected a file" in refusal(directory)


# ---- numbers that are changed and sealed again -----------------------------------------------------


def changes(value: Any) -> list[Any]:
    """A little more, a little less, and another type."""
    if isinstance(value, bool):
        return [not value, int(value)]
    if isinstance(value, int):
        return [value + 1, value - 1, value + 10**6, float(value), str(value)]
    if isinstance(value, float):
        return [value * 1.001 + 1e-6, value - 1e-6, str(value)]
    if isinstance(value, str):
        flipped = ("b" if value[:1] == "a" else "a") + value[1:]
        return [flipped, value + "x", "", 5]
    return [1, {}]


@pytest.mark.parametrize("kind", KINDS)
def test_every_leaf_that_is_changed_and_sealed_again_is_caught_by_name(damaged, kind):
    directory = getattr(damaged, kind)
    content = content_of(directory)
    tried = 0
    for path in leaves(content):
        if path[0] in FREE:
            continue
        for other in changes(holder_of(content, path)[0][path[-1]]):
            forged = copy.deepcopy(content)
            here, last = holder_of(forged, path)
            here[last] = other
            reseal(directory, forged)
            said = refusal(directory)
            assert names(said, path), (path, other, said)
            tried += 1
    assert tried > 250
    reseal(directory, content)
    assert verify_certificate(directory).kind == kind


def names(said: str, path: tuple[Any, ...]) -> bool:
    """Whether a line names the leaf, what it belongs to, its file, or what does not follow from it."""
    if path[-1] == "path" and ": expected a file with SHA-256" in said:
        return True
    words = {
        "bitstream_sha256": BITSTREAM_FILE,
        "delta": "claim.bound",
        "experts": ".json" if path[2:3] == ("manifest",) else "expert_",
        "components": "/trained/cell/",
        "components_manifest": "/trained/cell/",
        "model": "theta0" if path[-1] == "theta0_sha256" else "identity",
        "counts": "claim",
        "held_out": "claim",
        "held_out_prior": "claim",
    }
    return str(path[0]) in said or words.get(path[0], "\0") in said


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_that_is_dropped_or_added_is_caught(damaged, kind):
    directory = getattr(damaged, kind)
    content = content_of(directory)
    for path in {leaf[:depth] for leaf in leaves(content) for depth in range(1, len(leaf) + 1)}:
        if path[0] in FREE:
            continue
        forged = copy.deepcopy(content)
        here, last = holder_of(forged, path)
        del here[last]
        reseal(directory, forged)
        assert refusal(directory), path
        if isinstance(last, int):
            continue
        forged = copy.deepcopy(content)
        holder_of(forged, path)[0]["novelty"] = None
        reseal(directory, forged)
        refusal(directory)


@pytest.mark.parametrize(("kind", "key"), [("subspace", "experts"), ("joint", "experts"), ("joint", "components")])
def test_every_list_that_is_cut_or_turned_is_caught(damaged, kind, key):
    directory = getattr(damaged, kind)
    content = content_of(directory)
    whole = content[key]
    for other in ([], whole[:1], whole[-1:], whole[:-1], whole[1:], whole + whole[:1], whole[::-1]):
        reseal(directory, content | {key: other})
        assert refusal(directory), other


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_free_is_free(damaged, kind):
    """The boundary of what a verification says. Lambda steered the training in the subspace and is in no claim."""
    directory = getattr(damaged, kind)
    content = content_of(directory)
    content["source_fingerprint"], content["environment"] = "other", {}
    if kind == "subspace":
        content["identity"]["lambda"] = content["settings"]["cell"]["lambda"] = "2.0"
        content["settings"]["training"]["epochs"] = 999
    else:
        content["settings"]["threads"] = 7
    content["statement"] = statement_of(kind, content["settings"])
    reseal(directory, content)
    verify_certificate(directory)


@pytest.mark.parametrize("settings", [{}, {"training": 3, "fusion": []}, {"training": {}, "fusion": None}])
def test_settings_that_say_nothing_of_the_model_are_one_line(damaged, settings):
    content = content_of(damaged.subspace) | {"settings": settings}
    reseal(damaged.subspace, content)
    said = refusal(damaged.subspace)
    assert said.startswith("settings.")
    assert "expected those that the certificate was made with" in said


# ---- forgeries that fit together -------------------------------------------------------------------


def forge(directory: Path, bitstream: bytes, **changes: Any) -> None:
    """Another bitstream, with its own digest in a certificate that is sealed again."""
    (directory / BITSTREAM_FILE).write_bytes(bitstream)
    content = content_of(directory) | {"bitstream_sha256": hashlib.sha256(bitstream).hexdigest()}
    reseal(directory, content | changes)


def test_a_bitstream_that_leaves_d_and_levels_unpaid_is_refused(damaged):
    bitstream = (damaged.subspace / BITSTREAM_FILE).read_bytes()
    ledger = {charge.name: float(charge.bits) for charge in decode(bitstream).charges} | {"sizes": 0.0}
    forge(damaged.subspace, unpaid(bitstream), ledger=ledger, code_bits=sum(ledger.values()))
    assert "with sizes in the message" in refusal(damaged.subspace)


def test_a_bitstream_that_claims_more_numbers_than_the_model_has_is_refused_at_once(damaged):
    forge(damaged.subspace, claiming(10**12))
    assert refusal(damaged.subspace).startswith("bitstream: expected at most ")


def test_another_model_in_the_bitstream_has_other_counts_or_another_ledger(damaged):
    coded = decode((damaged.subspace / BITSTREAM_FILE).read_bytes())
    other = encode((coded.symbols + 1) % 3, coded.codebook)
    ledger = {charge.name: float(charge.bits) for charge in decode(other).charges}
    forge(damaged.subspace, other)
    assert refusal(damaged.subspace).startswith(("ledger", "counts"))
    forge(damaged.subspace, other, ledger=ledger, code_bits=sum(ledger.values()))
    assert refusal(damaged.subspace).startswith(("claim", "counts"))


def test_weights_that_overflow_are_not_a_perfect_model(damaged, certified):
    """Logits that are no numbers: every image is a mistake, and so a recorded zero is caught."""
    coded = decode((certified.subspace / BITSTREAM_FILE).read_bytes())
    huge = Codebook("uniform", 3, (0x7B,))
    symbols = np.array([0, 2] * (len(coded.symbols) // 2), dtype=np.int32)
    bitstream = encode(symbols, huge)
    samples = read_certificate(certified.subspace)
    evidence = certified.evidence()
    measured = evidence.judge(samples.model).measure(decode(bitstream))
    assert measured.fusion.model.errors > samples.counts.errors


def test_a_component_swapped_with_its_digests_is_caught_by_its_manifest(damaged):
    """The same expert twice: theta0 differs, and so does the digest that the manifest of the second recorded."""
    first, second = damaged.tiny.experts
    shutil.copy(first, second)
    content = content_of(damaged.subspace)
    content["experts"][1]["component"]["sha256"] = content["experts"][0]["component"]["sha256"]
    reseal(damaged.subspace, content)
    assert f"{second.name}: expected SHA-256" in refusal(damaged.subspace)


# ---- rounding of other machines --------------------------------------------------------------------


class Rounding:
    """A judge whose machine turns images of one sample, of those that sit on the edge: so many, that `ties` are."""

    def __init__(self, judge: Any, sample: str, ties: int, to_wrong: int = 0, to_right: int = 0):
        self.judge, self.sample = judge, sample
        self.ties, self.to_wrong, self.to_right = ties, to_wrong, to_right

    def measure(self, coded: Any, trained: Any = None) -> Measured:
        found = self.judge.measure(coded, trained)
        verdicts = {name: getattr(found, name) for name in ("fusion", "certificate", "test")}
        of_sample = verdicts[self.sample]
        honest_N = of_sample.model.wrong_N
        wrong_N = honest_N.clone()
        wrong_N[torch.nonzero(honest_N)[: self.to_right, 0]] = False
        wrong_N[torch.nonzero(~honest_N)[: self.to_wrong, 0]] = True
        near_N = torch.arange(len(wrong_N)) < self.ties
        return Measured(**verdicts | {self.sample: Verdict(Decisions(wrong_N, near_N), of_sample.prior)})


def verified_with(monkeypatch: pytest.MonkeyPatch, directory: Path, **rounding: Any) -> Any:
    honest = recipe.Evidence.judge
    with monkeypatch.context() as patch:
        patch.setattr(recipe.Evidence, "judge", lambda evidence, model: Rounding(honest(evidence, model), **rounding))
        return verify_certificate(directory)


NAMED = {"fusion": "counts.errors", "certificate": "held_out.errors", "test": "test.errors"}


@pytest.mark.parametrize("sample", NAMED)
def test_a_count_may_differ_by_its_own_near_ties_and_by_no_more(certified, monkeypatch, sample):
    for ties, turned, passes in ((0, 0, True), (1, 1, True), (2, 2, True), (0, 1, False), (1, 2, False)):
        for way in ("to_right", "to_wrong"):
            choice = {"sample": sample, "ties": ties, way: turned}
            if passes:
                verified_with(monkeypatch, certified.subspace, **choice)
            else:
                with pytest.raises(UserError, match=f"{NAMED[sample]}: the certificate says"):
                    verified_with(monkeypatch, certified.subspace, **choice)


@pytest.mark.parametrize("sample", NAMED)
def test_many_near_ties_are_refused_although_no_count_differs(certified, monkeypatch, sample):
    with pytest.raises(UserError, match=r"expected at most 2 of \d+ images so near to a tie that .*, found 3"):
        verified_with(monkeypatch, certified.subspace, sample=sample, ties=3)


@pytest.mark.parametrize(("sample", "name"), [("fusion", "claim"), ("certificate", "held_out_claim")])
def test_the_claim_is_the_worse_of_recorded_and_recounted(certified, monkeypatch, sample, name):
    recorded = read_certificate(certified.subspace)
    bound = getattr(recorded, name).bound
    worse = verified_with(monkeypatch, certified.subspace, sample=sample, ties=2, to_wrong=2)
    better = verified_with(monkeypatch, certified.subspace, sample=sample, ties=2, to_right=2)
    assert getattr(worse, name).bound > bound + 0.01
    assert getattr(better, name).bound == bound
    assert (worse.prior_claim, worse.held_out_prior_claim) == (recorded.prior_claim, recorded.held_out_prior_claim)


def test_networks_run_last(damaged, monkeypatch):
    """Whatever can be seen without them is seen first: a damaged file costs no evaluation."""
    monkeypatch.setattr(recipe.Evidence, "judge", lambda *_: pytest.fail("a network was run"))
    content = content_of(damaged.subspace)
    for key in ("claim", "prior_claim", "held_out_claim", "held_out_prior_claim"):
        reseal(damaged.subspace, content | {key: content[key] | {"bound": content[key]["bound"] - 0.01}})
        assert f"{key}.bound: the certificate says" in refusal(damaged.subspace)
    damaged.tiny.images.write_bytes(damaged.tiny.images.read_bytes()[:-1])
    reseal(damaged.subspace, content)
    assert "images.safetensors: the certificate says" in refusal(damaged.subspace)
