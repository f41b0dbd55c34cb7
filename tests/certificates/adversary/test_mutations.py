"""Random changes of anything, sealed again: the verifier says yes to nothing that is false.

Where it says yes, `Truth` recomputes by hand what is claimed. The same search finds a weakness that is planted.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from bitstreams import message_bits, rewrapped
from forger import Forger, Sealed, Truth, of_kinds, with_claims
from forging import holder_of, leaves, manifest_of, read, reseal, sha256, write_sealed
from weaknesses import CODE, COUNTS, DRAW

from certifuse.base.errors import UserError
from certifuse.certificates.coding.codec import decode
from certifuse.certificates.images.verify import verify_certificate
from certifuse.study.paths import BITSTREAM_FILE

CERTIFICATE_SEAL, MANIFEST_SEAL = "sha256", "manifest_sha256"


def other(value: Any, rng: np.random.Generator) -> Any:
    """Another value: mostly of the same type, near or far."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + int(rng.choice([1, -1, 7, -value, 1000]))
    if isinstance(value, float):
        return float(rng.choice([value * 1.01 + 1e-3, value - 1e-3, value / 2, 0.0]))
    if isinstance(value, str):
        texts = ["", value + "x", value[1:], value.swapcase(), value.replace("0", "1"), value.replace("1", "0")]
        return str(rng.choice(texts))
    return [0, "x", {}][rng.integers(3)]


def changed(content: Any, path: tuple[Any, ...], rng: np.random.Generator) -> Any:
    """A copy with another value at a leaf."""
    content = copy.deepcopy(content)
    here, last = holder_of(content, path)
    here[last] = other(here[last], rng)
    return content


def chosen(content: Any, number: int, rng: np.random.Generator) -> list[tuple[Any, ...]]:
    found = list(leaves(content))
    return [found[index] for index in rng.choice(len(found), min(number, len(found)), replace=False)]


def certificate_leaves(forger: Forger, rng: np.random.Generator, only: str = "") -> Iterator[str]:
    """Leaves of the certificate, with all that follows from them."""
    honest = {key: value for key, value in forger.content.items() if key != CERTIFICATE_SEAL}
    free = {key: honest.pop(key) for key in ("environment", "settings")}
    parts = {key: value for key, value in honest.items() if only in key}
    for path in [*chosen(parts, 30, rng), *([] if only else chosen(free, 6, rng))]:
        reseal(forger.directory, with_claims(changed(honest | free, path, rng)))
        yield f"certificate {path}"
    forger.restore()


def manifest_leaves(forger: Forger, rng: np.random.Generator, only: str = "") -> Iterator[str]:
    """Leaves of every manifest. Those of trainings are renewed in the certificate."""
    own = manifest_of(forger.directory)
    for path in sorted({own, *forger.study.tiny.root.rglob("cell/manifest.json")}):
        honest = {key: value for key, value in read(path).items() if key != MANIFEST_SEAL}
        for leaf in chosen(honest, 5, rng):
            write_sealed(path, changed(honest, leaf, rng), MANIFEST_SEAL)
            if path != own:
                forger.seal(recount=False, manifests=False)
            yield f"{path} {leaf}"
        forger.restore()


def sealed_leaves(forger: Forger, rng: np.random.Generator, only: str = "") -> Iterator[str]:
    """Facts and numbers of images, splits and components, with everything renewed after them.

    What a component says of its sizes is left alone: whether a network can be built of it is asked elsewhere.
    """
    content = forger.content
    components = [content["experts"][0]["component"], *content["components"][-1:]]
    files = [forger.study.tiny.images, forger.study.tiny.splits]
    for path in (*files, *(forger.directory / file["path"] for file in components)):
        if only not in path.name:
            continue
        facts = {name: value for name, value in Sealed(path).facts.items() if name != "spec"}
        tensors = sorted(name for name, values in Sealed(path).tensors.items() if values.numel())
        for what in (*chosen(facts, 3, rng), *map(str, rng.choice(tensors, 4))):
            file = Sealed(path)
            if isinstance(what, tuple):
                file.facts = changed(file.facts, what, rng)
            else:
                values = file.tensors[what].view(-1)
                values[rng.integers(len(values), size=1)] += 1
            file.write()
            yield from sealed_again(forger, f"{path.name} {what}")
            forger.restore()


def sealed_again(forger: Forger, what: str) -> Iterator[str]:
    """With the counts as they were recorded, and with those that are true now, where they can be counted at all."""
    forger.seal(recount=False)
    yield what
    try:
        forger.seal()
    except Exception:
        return
    yield f"{what}, counted again"


def bits(forger: Forger, rng: np.random.Generator, only: str = "") -> Iterator[str]:
    """Bits of the message, in a container that is sealed again."""
    path = forger.directory / BITSTREAM_FILE
    honest = path.read_bytes()
    for bit in sorted(rng.choice(message_bits(honest), min(message_bits(honest), 16), replace=False)):
        path.write_bytes(rewrapped(honest, int(bit)))
        try:
            decode(path.read_bytes())
        except UserError:
            reseal(forger.directory, forger.content | {"bitstream_sha256": sha256(path.read_bytes())})
            yield f"bit {bit}"
        else:
            yield from sealed_again(forger, f"bit {bit}")
        forger.restore()


def falsehoods(forger: Forger, mutations: Iterator[str]) -> tuple[list[Any], int, int]:
    """What is verified and false, and how many mutations were tried and verified."""
    false, tried, verified = [], 0, 0
    for what in mutations:
        tried += 1
        try:
            certificate = verify_certificate(forger.directory)
        except UserError:
            continue
        verified += 1
        if found := Truth(forger).falsehoods(certificate):
            false.append((what, found))
    return false, tried, verified


SEARCHES = {
    "certificate": certificate_leaves,
    "manifests": manifest_leaves,
    "files": sealed_leaves,
    "bits": bits,
}


@pytest.mark.parametrize("search", SEARCHES)
@of_kinds("subspace", "joint")
def test_nothing_false_is_verified(forger, search):
    false, tried, _ = falsehoods(forger, SEARCHES[search](forger, np.random.default_rng(0)))
    assert false == []
    assert tried > 15


@of_kinds("subspace")
def test_some_changes_are_true_and_verified(forger):
    """Else the search would see nothing but refusals."""
    assert falsehoods(forger, bits(forger, np.random.default_rng(0)))[2] > 0


PLANTED = {
    "any count is accepted": ("certificate", "held_out", COUNTS),
    "any number of bits is accepted": ("certificate", "code_bits", (CODE,)),
    "any sample is accepted": ("files", "images", (DRAW,)),
    "any statistics are accepted": ("files", "splits", (DRAW,)),
}


@pytest.mark.parametrize("weakness", PLANTED)
@of_kinds("subspace")
def test_a_planted_weakness_is_found(forger, weakness, monkeypatch):
    search, only, weak = PLANTED[weakness]
    for owner, name, instead in weak:
        monkeypatch.setattr(owner, name, instead)
    assert any(falsehoods(forger, SEARCHES[search](forger, np.random.default_rng(seed), only))[0] for seed in range(4))
