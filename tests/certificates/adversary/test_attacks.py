"""Deliberate attacks: everything is sealed again, and something false is claimed. None is verified.

Each attack is also let through by taking away the check that stands against it: then the certificate is verified, and
`Truth` says what is false. So each check is needed, and the attack is a real one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from forger import Forger, Truth, of_kinds
from forging import manifest_of, read, reseal, write_sealed
from weaknesses import CLAIMS, CODE, COPIES, COUNTS, DRAW, EXPERTS, INDICES, LEVELS, MODEL, Check, nothing

from certifuse.base.errors import UserError
from certifuse.certificates.coding.codec import decode, encode
from certifuse.certificates.images import verify as verification
from certifuse.certificates.images.verify import verify_certificate
from certifuse.models.subspace.codebook import Codebook, half_patterns
from certifuse.models.subspace.reparametrisation import trainable_size
from certifuse.study.paths import BITSTREAM_FILE


def drawn(forger: Forger, change: Callable[[dict[str, torch.Tensor], dict[str, Any]], None]) -> None:
    """Other sets, or other facts about them."""
    splits = forger.splits
    change(splits.tensors, splits.facts)
    splits.write()
    forger.seal()


# ---- the sample ------------------------------------------------------------------------------------


def other_names_of_pool_images(forger: Forger) -> None:
    """i - N is the same image as i, and no other index."""
    drawn(forger, lambda sets, facts: sets.update(certificate=sets["pool"][:40] - 240))


def one_image_many_times(forger: Forger) -> None:
    drawn(forger, lambda sets, facts: sets.update(certificate=sets["certificate"][:1].repeat(2_000)))


def indices_of_another_type(forger: Forger) -> None:
    drawn(forger, lambda sets, facts: sets.update(certificate=sets["certificate"].to(torch.int32)))


def an_index_beyond_the_images(forger: Forger) -> None:
    splits = forger.splits
    splits.tensors["certificate"][-1] = 10**9
    splits.write()
    forger.seal(recount=False)


def experts_that_saw_the_sample(forger: Forger) -> None:
    drawn(forger, lambda sets, facts: sets.update(expert_0=torch.cat([sets["expert_0"], sets["fusion"]]).sort().values))


def only_what_is_right(forger: Forger) -> None:
    """The images that the model gets wrong are said to have been copies."""
    truth = Truth(forger)
    _, wrong_of, _ = truth.mistakes
    right = {name: truth.sets[name][~torch.tensor(wrong_of[name])] for name in ("fusion", "certificate")}

    def keep(sets: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        wrong = [sets[name][~torch.isin(sets[name], kept)] for name, kept in right.items()]
        sets |= right | {"dropped": torch.cat([sets["dropped"], *wrong]).sort().values}

    drawn(forger, keep)


def another_seed_than_it_says(forger: Forger) -> None:
    def change(sets: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        facts.setdefault("settings", {})["seed"] = 43

    drawn(forger, change)


def statistics_that_are_not_the_pools(forger: Forger) -> None:
    drawn(forger, lambda sets, facts: facts.update(mean=[facts["mean"][0] * 1.01]))


def exchanged_pixels(forger: Forger, noise: int) -> None:
    """Images of the pool in the places of the certificate images, with or without a little noise."""
    images, sets = forger.images, forger.splits.tensors
    places, sources = sets["certificate"], sets["pool"][: len(sets["certificate"])]
    pixels = images.tensors["train_images"][sources].long()
    generator = torch.Generator().manual_seed(0)
    moved = pixels + torch.randint(-noise, noise + 1, pixels.shape, generator=generator)
    images.tensors["train_images"][places] = moved.clamp(0, 255).to(torch.uint8)
    images.tensors["train_labels"][places] = images.tensors["train_labels"][sources]
    images.write()
    forger.seal()


def pool_images_in_the_sample(forger: Forger) -> None:
    exchanged_pixels(forger, 0)


def nearly_pool_images_in_the_sample(forger: Forger) -> None:
    exchanged_pixels(forger, 1)


# ---- counts, bits and the model --------------------------------------------------------------------


def one_mistake_less(forger: Forger) -> None:
    counts = forger.content["counts"]
    forger.seal(recount=False, counts=counts | {"errors": counts["errors"] - 1, "better": counts["better"] + 1})


def one_mistake_less_on_untouched_images(forger: Forger) -> None:
    held_out = forger.content["held_out"]
    forger.seal(recount=False, held_out=held_out | {"errors": held_out["errors"] - 1})


def a_bound_that_does_not_follow(forger: Forger) -> None:
    content = forger.content
    content["held_out_claim"]["bound"] -= 0.05
    reseal(forger.directory, content)


def fewer_bits_than_were_spent(forger: Forger) -> None:
    short = forger.content["ledger"] | {"symbols": 0.0}
    forger.seal(ledger=short, code_bits=sum(short.values()))


def on_one_level(size: int, value: float) -> bytes:
    return encode(np.zeros(size, dtype=np.int32), Codebook("free", 1, half_patterns(np.array([value]))))


def a_vector_on_one_level(forger: Forger) -> None:
    """All that it says stands in the description of the model."""
    size = len(decode((forger.directory / BITSTREAM_FILE).read_bytes()).symbols)
    forger.write_bitstream(on_one_level(size, 0.5))
    content = forger.content
    content["settings"]["levels"] = [1, 3, 5]
    forger.seal(settings=content["settings"])


def the_identity_as_projector(forger: Forger) -> None:
    """Every image a tie, said to be right: all weights of fusion module and head are one huge number, for 36 bits."""
    content = forger.content
    model = content["model"] | {"parameters": "fusion_and_head"}
    size = trainable_size(forger.prior_of(content | {"model": model}))
    forger.write_bitstream(
        encode(np.zeros(size, dtype=np.int32), Codebook("free", 1, half_patterns(np.array([60_000.0]))))
    )
    settings = content["settings"]
    settings["training"] |= {"projector": "identity", "parameters": "fusion_and_head"}
    settings["levels"] = [1]
    if "cell" in settings:
        settings["cell"]["d"] = size
    model["projector"] |= {"kind": "identity", "seed": 0, "subspace_dim": size, "ambient_dim": size}
    counts = content["counts"]
    none = {name: content[name] | {"errors": 0} for name in ("held_out", "test")}
    perfect = counts | {"errors": 0, "worse": 0, "better": counts["prior_errors"]}
    forger.seal(recount=False, settings=settings, model=model, counts=perfect, **none)


def one_expert_twice(forger: Forger) -> None:
    content = forger.content
    experts = [content["experts"][0]] * 2
    forger.seal(prior=True, experts=experts)


def experts_in_another_order(forger: Forger) -> None:
    forger.seal(prior=True, experts=forger.content["experts"][::-1])


def one_expert_of_two(forger: Forger) -> None:
    content = forger.content
    fusion = content["model"]["fusion"] | {"experts": 1}
    forger.seal(prior=True, experts=content["experts"][:1], model=content["model"] | {"fusion": fusion})


def another_start(forger: Forger) -> None:
    """The seed of the fusion module, which nobody pays for, among as many as one likes."""
    model = forger.content["model"] | {"initialisation_seed": 5}
    forger.seal(prior=True, model=model)


class Attack(NamedTuple):
    """What is forged, which kind of certificate, what the refusal names, and the checks that stand against it."""

    forge: Callable[[Forger], None]
    said: str
    kind: str = "subspace"
    against: tuple[Check, ...] = ()


ATTACKS = [
    Attack(other_names_of_pool_images, "ascending int64 indices from 0 in 'certificate'", against=(INDICES, DRAW)),
    Attack(other_names_of_pool_images, "ascending int64 indices from 0", kind="joint", against=(INDICES, DRAW)),
    Attack(one_image_many_times, "each once", against=(INDICES, DRAW)),
    Attack(indices_of_another_type, "int64"),
    Attack(an_index_beyond_the_images, "in 'certificate' the images that seed 42 draws"),
    Attack(experts_that_saw_the_sample, "'expert_0' to be images of the pool"),
    Attack(only_what_is_right, "the images that seed 42 draws", against=(DRAW,)),
    Attack(another_seed_than_it_says, "the images that seed 43 draws", against=(DRAW,)),
    Attack(statistics_that_are_not_the_pools, "mean of the pool", against=(DRAW,)),
    Attack(pool_images_in_the_sample, "copies put among them", against=(DRAW,)),
    Attack(nearly_pool_images_in_the_sample, "nearly copies of others", against=(COPIES,)),
    Attack(nearly_pool_images_in_the_sample, "nearly copies of others", kind="joint", against=(COPIES,)),
    Attack(one_mistake_less, "counts.errors: the certificate says", against=COUNTS),
    Attack(one_mistake_less_on_untouched_images, "held_out.errors: the certificate says", against=COUNTS),
    Attack(one_mistake_less_on_untouched_images, "held_out.errors: the certificate says", kind="joint", against=COUNTS),
    Attack(a_bound_that_does_not_follow, "held_out_claim.bound: the certificate says", against=CLAIMS),
    Attack(fewer_bits_than_were_spent, "ledger.symbols: the certificate says", against=(CODE,)),
    Attack(a_vector_on_one_level, "2 levels or more, found 1", against=(LEVELS,)),
    Attack(the_identity_as_projector, "settings.training.projector"),
    Attack(one_expert_twice, "member 'expert_1', found", against=(EXPERTS,)),
    Attack(experts_in_another_order, "member 'expert_0', found", against=(EXPERTS,)),
    Attack(one_expert_of_two, "all of its 2 experts, found 1", against=(EXPERTS,)),
    Attack(another_start, "model.initialisation_seed: the certificate says 5, found 0", against=(MODEL,)),
]
NAMES = [f"{attack.forge.__name__}-{attack.kind}" for attack in ATTACKS]


@of_kinds("subspace", "joint")
def test_what_is_honest_is_verified_and_true(forger):
    """Sealing again alone changes nothing, and the truth agrees with an honest certificate."""
    honest = forger.content
    forger.seal()
    assert forger.content == honest
    assert Truth(forger).falsehoods(verify_certificate(forger.directory)) == []


@pytest.mark.parametrize(("attack", "forger"), [(a, a.kind) for a in ATTACKS], indirect=["forger"], ids=NAMES)
def test_no_attack_is_verified(attack, forger):
    attack.forge(forger)
    with pytest.raises(UserError) as raised:
        verify_certificate(forger.directory)
    assert attack.said in str(raised.value)
    assert "\n" not in str(raised.value)


WEAKENED = [(attack, attack.kind) for attack in ATTACKS if attack.against]


@pytest.mark.parametrize(
    ("attack", "forger"), WEAKENED, indirect=["forger"], ids=[f"{a.forge.__name__}-{kind}" for a, kind in WEAKENED]
)
def test_without_its_check_the_attack_succeeds_and_what_is_verified_is_false(attack, forger, monkeypatch):
    attack.forge(forger)
    for owner, name, weak in attack.against:
        monkeypatch.setattr(owner, name, weak)
    verified = verify_certificate(forger.directory)
    assert Truth(forger).falsehoods(verified)


@of_kinds("subspace")
def test_ties_are_mistakes_even_if_every_description_is_believed(forger, monkeypatch):
    honest = verification.check_settings(verification.read_certificate(forger.directory))
    the_identity_as_projector(forger)
    for owner, name, instead in (
        *(LEVELS, MODEL, (verification, "check_written", nothing)),
        (verification, "check_settings", lambda _: honest),
        (verification, "_most_numbers", lambda *_: 276),
    ):
        monkeypatch.setattr(owner, name, instead)
    with pytest.raises(UserError, match=r"counts.errors: the certificate says 0, found 56"):
        verify_certificate(forger.directory)


# ---- files beside the certificate ------------------------------------------------------------------


@of_kinds("subspace", "joint")
def test_a_bit_of_any_file_of_a_certificate(forger):
    for path in (*sorted(forger.directory.iterdir()), manifest_of(forger.directory)):
        whole = path.read_bytes()
        for place in {*range(0, len(whole), max(1, len(whole) // 50)), len(whole) - 1}:
            for bit in (0, 5):
                path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
                with pytest.raises(UserError):
                    verify_certificate(forger.directory)
        path.write_bytes(whole)
    verify_certificate(forger.directory)


@of_kinds("subspace", "joint")
def test_a_foreign_file_beside_a_certificate(forger):
    for name in ("model.cfqv.bak", ".hidden", "weights.safetensors"):
        (forger.directory / name).write_bytes(b"")
        with pytest.raises(UserError, match=f"{name}: expected .* and nothing else"):
            verify_certificate(forger.directory)
        (forger.directory / name).unlink()


@of_kinds("subspace", "joint")
def test_a_manifest_of_another_run(forger):
    """Of another rule, other settings, another certificate, or that read other files."""
    path = manifest_of(forger.directory)
    honest = read(path)
    changes = {
        "step": "train_fusion",
        "identity": {"architecture": "densenet"},
        "settings": {},
        "source_fingerprint": "another",
        "outputs_sha256": dict.fromkeys(honest["outputs_sha256"], "0" * 64),
        "inputs_sha256": dict(list(honest["inputs_sha256"].items())[1:]),
    }
    for key, other in changes.items():
        write_sealed(path, honest | {key: other}, "manifest_sha256")
        with pytest.raises(UserError, match=f"{path}.*: the certificate says"):
            verify_certificate(forger.directory)
    path.unlink()
    with pytest.raises(UserError, match="expected the manifest of a run, found none"):
        verify_certificate(forger.directory)
