"""An adversary: changes any file of a study, and renews all that follows from it, as whoever wants to deceive would.

`Truth` is what holds of the files as they lie there: by hand, in double precision, with all draws made again.
"""

import copy
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bitstreams import message_bits
from by_hand import ByHand, beta_limit, counted, wrong
from forging import content_of, digest, read, reseal, sha256, write_sealed

from certifuse.base.errors import UserError
from certifuse.base.tensors import digest_tensor, read_tensors
from certifuse.base.tensors import write_sealed as write_tensors
from certifuse.certificates.coding.codec import CodedVector, decode
from certifuse.certificates.images.model import prior_network, state_digest
from certifuse.data.images.image_set import ImageSet
from certifuse.data.images.splits import make_splits
from certifuse.evaluation.bounds.claims import coded_claim, untouched_claim
from certifuse.evaluation.bounds.excess import PriorComparison
from certifuse.models.components.assembly import load_network
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.models.subspace.reparametrisation import trainable_size
from certifuse.study.paths import BITSTREAM_FILE
from certifuse.study.settings.data import SplitSettings
from certifuse.study.settings.fusion import FusionModuleSettings

IMAGE_PARTS = ("train_images", "train_labels", "test_images", "test_labels")
NEAR_COPY = 0.995
ROUNDING = 1e-4
"""Of bounds, which are compared with others that were found otherwise."""


@dataclass
class Sealed:
    """A sealed file of tensors, opened by force: whatever is written into it is sealed again."""

    path: Path
    kind: str = ""
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tensors, metadata = read_tensors(self.path, "a file")
        record = json.loads(metadata["certifuse_sealed"].partition(" ")[2])
        self.tensors, self.kind, self.facts = tensors, record["kind"], record["facts"]

    def write(self) -> None:
        write_tensors(self.path, self.kind, self.tensors, self.facts)


class Forger:
    """All files behind one certificate of a copied study."""

    def __init__(self, study: Any, kind: str):
        self.study, self.kind = study, kind
        self.directory: Path = getattr(study, kind)
        self.kept = {path: path.read_bytes() for path in study.tiny.root.rglob("*") if path.is_file()}

    def restore(self) -> None:
        """All files as they were."""
        for path in self.study.tiny.root.rglob("*"):
            if path.is_file() and path not in self.kept:
                path.unlink()
        for path, data in self.kept.items():
            if not path.exists() or path.read_bytes() != data:
                path.write_bytes(data)

    @property
    def images(self) -> Sealed:
        return Sealed(self.study.tiny.images)

    @property
    def splits(self) -> Sealed:
        return Sealed(self.study.tiny.splits)

    @property
    def content(self) -> dict[str, Any]:
        return content_of(self.directory)

    def write_bitstream(self, bitstream: bytes) -> None:
        (self.directory / BITSTREAM_FILE).write_bytes(bitstream)

    def seal(self, recount: bool = True, prior: bool = False, manifests: bool = True, **lies: Any) -> None:
        """Renew everything from the manifests of the trainings to that of the certificate.

        Args:
            recount: count mistakes again.
            prior: the model starts elsewhere: renew the digest of theta0, and its size.
            manifests: renew those of the trainings.
            lies: other values for keys of the certificate.
        """
        content = self.content | lies
        if manifests:
            self._renew_manifests(content)
        for file in self._stored(content):
            file["sha256"] = digest(self.directory / file["path"])
        splits = self.splits
        content["sets_sha256"] = {name: digest_tensor(indices) for name, indices in splits.tensors.items()}
        if "split_settings" in content:
            content["split_settings"] = splits.facts["settings"]
        bitstream = (self.directory / BITSTREAM_FILE).read_bytes()
        coded = decode(bitstream)
        content["bitstream_sha256"] = sha256(bitstream)
        content["ledger"] = {charge.name: float(charge.bits) for charge in coded.charges}
        content["code_bits"] = sum(content["ledger"].values())
        content["identity"] |= {"d": len(coded.symbols), "levels": coded.codebook.levels}
        if prior:
            network = self.prior_of(content)
            content["model"]["theta0_sha256"] = state_digest(network)
            content["model"]["projector"]["ambient_dim"] = trainable_size(network)
        if recount:
            reseal(self.directory, content)
            content |= Truth(self).counts
        reseal(self.directory, with_claims(content | lies))

    def prior_of(self, content: dict[str, Any]) -> FusedNetwork:
        """The prior that a certificate describes."""
        experts = [self.directory / expert["component"]["path"] for expert in content["experts"]]
        model = content["model"]
        return prior_network(
            experts, model["fusion"], model["initialisation_seed"], anchored=model["anchored"],
            parameters=model["parameters"],
        )  # fmt: skip

    def _renew_manifests(self, content: dict[str, Any]) -> None:
        data = {"images": [digest(self.study.tiny.images)], "splits": [digest(self.study.tiny.splits)]}
        pairs = [(expert["component"], expert["manifest"]) for expert in content["experts"]]
        for component, manifest in pairs:
            self._renew(self.directory / manifest["path"], [self.directory / component["path"]], data, {})
        if content["components_manifest"]:
            manifest = self.directory / content["components_manifest"]["path"]
            experts = [self.directory / component["path"] for component, _ in pairs]
            components = [self.directory / file["path"] for file in content["components"]]
            read_files = {os.path.relpath(file.resolve(), manifest.resolve().parent): digest(file) for file in experts}
            self._renew(manifest, components, data, read_files)

    @staticmethod
    def _renew(path: Path, outputs: list[Path], data: dict[str, Any], inputs: dict[str, str]) -> None:
        manifest = read(path)
        manifest["data_sha256"] = data
        manifest["inputs_sha256"] = manifest["inputs_sha256"] | inputs
        manifest["outputs_sha256"] |= {os.path.relpath(file, path.parent): digest(file) for file in outputs}
        write_sealed(path, manifest, "manifest_sha256")

    @staticmethod
    def _stored(content: dict[str, Any]) -> list[dict[str, str]]:
        files = [content["images"], content["splits"], *content["components"]]
        files += [file for expert in content["experts"] for file in (expert["component"], expert["manifest"])]
        return files + ([content["components_manifest"]] if content["components_manifest"] else [])


def with_claims(content: dict[str, Any]) -> dict[str, Any]:
    """With the claims, and the digest in the statement, that follow from what is recorded."""
    content = copy.deepcopy(content)
    counts, delta, bits = content["counts"], content["delta"], content["code_bits"]
    try:
        content["claim"] = coded_claim(comparison(counts), bits, delta)
        content["prior_claim"] = untouched_claim(counts["prior_errors"], counts["examples"], delta)
        for name in ("held_out", "held_out_prior"):
            if seen := content[name]:
                content[f"{name}_claim"] = untouched_claim(seen["errors"], seen["examples"], delta)
        settings = json.dumps(content["settings"], sort_keys=True, separators=(",", ":")).encode()
        content["statement"] = re.sub("[0-9a-f]{64}", hashlib.sha256(settings).hexdigest(), content["statement"])
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError):
        pass  # what cannot be derived from is left as it was
    return content


def comparison(counts: dict[str, int]) -> PriorComparison:
    return PriorComparison(**{name: counts[name] for name in ("prior_errors", "worse", "better", "examples")})


class Truth:
    """What is true of the files behind a certificate, as they lie there."""

    def __init__(self, forger: Forger):
        self.content, self.forger = forger.content, forger
        pixels, splits = forger.images, forger.splits
        parts = {name: pixels.tensors[name] for name in IMAGE_PARTS}
        self.images = ImageSet(**parts, num_classes=pixels.facts["num_classes"], name="any")
        self.sets, self.facts = splits.tensors, splits.facts
        self.bitstream = (forger.directory / BITSTREAM_FILE).read_bytes()
        self.coded: CodedVector = decode(self.bitstream)
        self.experts = [forger.directory / expert["component"]["path"] for expert in self.content["experts"]]

    @property
    def counts(self) -> dict[str, Any]:
        """Counts and mistakes, under the keys of a certificate."""
        prior, decoded, judged = self.mistakes
        found: dict[str, Any] = {"counts": counted(prior["fusion"], decoded["fusion"])}
        for name, wrong_of, sample in (
            *(("held_out", judged, "certificate"), ("held_out_prior", prior, "certificate")),
            *(("test", judged, "test"), ("test_prior", prior, "test")),
        ):
            wrong_N = wrong_of.get(sample)
            found[name] = None if wrong_N is None else {"examples": len(wrong_N), "errors": sum(wrong_N)}
        return found

    @cached_property
    def mistakes(self) -> tuple[dict[str, list[bool]], ...]:
        """Of the prior, the decoded model and the one that is judged on untouched images: by sample, image by image."""
        statistics = (self.facts["mean"], self.facts["std"])
        samples = ["fusion", "test"] + (["certificate"] if len(self.sets["certificate"]) else [])
        if self.content["kind"] == "joint":
            return self._joint(samples, statistics)
        model = self.content["model"]
        module = FusionModuleSettings(**model["fusion"]["module"])
        seed = model["initialisation_seed"]
        by_hand = ByHand(self.images, self.sets, statistics, self.experts, module, seed)
        prior = {sample: by_hand.wrong(sample) for sample in samples}
        by_hand.move(self.coded.values, model["projector"]["seed"])
        decoded = {sample: by_hand.wrong(sample) for sample in samples}
        return prior, decoded, decoded

    def _joint(self, samples: list[str], statistics: Any) -> tuple[dict[str, list[bool]], ...]:
        """Mistakes of prior, decoded and trained network of kind `joint`."""
        *experts, fusion, head = [self.forger.directory / file["path"] for file in self.content["components"]]
        trained = load_network(experts, fusion, head)
        prior = self.forger.prior_of(self.content)
        decoded = copy.deepcopy(prior)
        theta0_D = torch.nn.utils.parameters_to_vector(prior.parameters()).detach()
        torch.nn.utils.vector_to_parameters(theta0_D + torch.from_numpy(self.coded.values), decoded.parameters())
        networks = [network.double().eval() for network in (prior, decoded, trained)]
        return tuple({sample: self._wrong(network, sample, statistics) for sample in samples} for network in networks)

    @torch.no_grad()
    def _wrong(self, network: torch.nn.Module, sample: str, statistics: Any) -> list[bool]:
        pixels, labels = self.images.test_images, self.images.test_labels
        if sample != "test":
            pixels, labels = self.images.train_images[self.sets[sample]], self.images.train_labels[self.sets[sample]]
        mean, std = (torch.tensor(values).double()[:, None, None] for values in statistics)
        return wrong(network((pixels.double() / 255 - mean) / std).global_logits_NK, labels)

    def falsehoods(self, verified: Any) -> list[str]:
        """What a verified certificate says and is not so."""
        found = [*self._of_sample(), *self._of_model()]
        delta, bits, counts = verified.delta, message_bits(self.bitstream), self.counts
        least = {
            "claim": coded_claim(comparison(counts["counts"]), bits, delta)["bound"],
            "prior_claim": beta_limit(counts["counts"]["prior_errors"], counts["counts"]["examples"], delta),
        }
        for name in ("held_out", "held_out_prior"):
            if seen := counts[name]:
                least[f"{name}_claim"] = beta_limit(seen["errors"], seen["examples"], delta)
        for name, bound in least.items():
            claim = getattr(verified, name)
            if claim is None or claim.bound < bound - ROUNDING:
                found.append(f"{name}: {claim and claim.bound} where {bound} holds")
        return found

    def _of_sample(self) -> list[str]:
        """The images are those of the draw, the experts' statistics those of the pool, and none is there twice."""
        settings = SplitSettings(**self.facts["settings"]) if "settings" in self.facts else honest_settings()
        try:
            again = make_splits(self.images, settings)
        except UserError:
            return ["no draw"]
        found = [name for name, indices in again.named().items() if not torch.equal(indices, self.sets[name])]
        for name in ("mean", "std"):
            if not np.allclose(getattr(again, name), self.facts[name], rtol=1e-9, atol=0):
                found.append(name)
        used = torch.cat([again.named()[name] for name in ("pool", "fusion", "validation", "certificate")])
        values = self.images.train_images[used].flatten(1).double().numpy()
        if (np.triu(np.corrcoef(values), 1) >= NEAR_COPY).any():
            found.append("copies")
        return found

    def _of_model(self) -> list[str]:
        """No bits are owed for the description: all experts once, a random projector, a vector on several levels."""
        model, identity = self.content["model"], self.content["identity"]
        projector = model["projector"]
        joint = self.content["kind"] == "joint"
        sound = {
            "projector": joint == (projector["kind"] == "identity"),
            "levels": self.coded.codebook.levels > 1,
            "experts": [file.resolve().parent.name for file in self.experts] == ["expert_0", "expert_1"],
            "seed": model["initialisation_seed"] == identity["seed"],
        }
        return [name for name, holds in sound.items() if not holds]


def honest_settings() -> SplitSettings:
    """Those of the session's study, for files that do not tell."""
    return SplitSettings(
        experts=2, shared_fraction=0.2, unique_fraction=0.4, fusion_fraction=0.5, validation_fraction=0.2,
        certificate_fraction=1 / 3,
    )  # fmt: skip


def of_kinds(*kinds: str) -> pytest.MarkDecorator:
    """For the fixture `forger` of these kinds of certificates."""
    return pytest.mark.parametrize("forger", kinds, indirect=True)
