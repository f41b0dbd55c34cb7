"""Count mistakes, for whoever writes a certificate and whoever verifies one."""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import torch
from torch import Tensor

from certifuse.bounds.certificate import Counts, ModelDescription, Untouched
from certifuse.bounds.codec import decode
from certifuse.bounds.ledger import Ledger
from certifuse.certified_model import decoded_network
from certifuse.data.image_set import ImageSet, load_image_set
from certifuse.data.splits import Splits, load_splits
from certifuse.evaluation.decisions import Decisions, decide
from certifuse.models.fused_network import FusedNetwork
from certifuse.settings.execution import ExecutionSettings
from certifuse.training import runtime as runtimes
from certifuse.training.epoch import DeviceImages, official_test_on_device, on_device
from certifuse.training.inference import fused_logits_of
from certifuse.training.runtime import Runtime


@dataclass(frozen=True, eq=False)
class Samples:
    """The images on which the models of a certificate are judged, where anyone can: on the CPU, in single precision."""

    images: ImageSet
    splits: Splits
    runtime: Runtime

    @classmethod
    def load(cls, images: Path, splits: Path, threads: int) -> "Samples":
        """Read both files."""
        execution = ExecutionSettings(device="cpu", precision="fp32", compile="off", threads=threads)
        return cls(load_image_set(images), load_splits(splits), runtimes.start(execution, training=False))

    @cached_property
    def parts(self) -> dict[str, tuple[DeviceImages, Tensor]]:
        """The `fusion`, `certificate` and `test` images."""
        training = on_device(self.images, self.splits, self.runtime)
        test = official_test_on_device(self.images, self.splits, self.runtime)
        return {
            "fusion": (training, self.splits.fusion),
            "certificate": (training, self.splits.certificate),
            "test": (test, torch.arange(len(test.labels))),
        }

    def decisions(self, network: FusedNetwork, sample: str) -> Decisions:
        """The network's decisions on one of the samples."""
        data, indices = self.parts[sample]
        logits_NK, _ = fused_logits_of(self.runtime.place(network), data, indices, self.runtime)
        return decide(logits_NK, data.labels[indices])


@dataclass(frozen=True)
class Measured:
    """What a bitstream costs and what its model and the prior get wrong."""

    ledger: Ledger
    counts: Counts
    held_out: Untouched | None
    held_out_prior: Untouched | None
    test: Untouched
    test_prior: Untouched


class Judge:
    """Judges the models of one prior, which is run once however many models there are."""

    def __init__(self, samples: Samples, prior: FusedNetwork, model: ModelDescription):
        self.samples, self.prior, self.model = samples, prior, model
        self._of_prior = cache(lambda sample: samples.decisions(prior, sample))

    def measure(self, bitstream: bytes, trained: FusedNetwork | None = None) -> Measured:
        """Decode, rebuild and count. `trained` is judged on images that it was not trained on, else the decoded is.

        Raises:
            UserError: the bitstream is damaged or does not fit the model.
        """
        coded = decode(bitstream)
        decoded = decoded_network(self.prior, self.model.projector, torch.from_numpy(coded.values))
        judged = decoded if trained is None else trained
        return Measured(
            ledger=Ledger(coded.charges),
            counts=_compare(self.samples.decisions(decoded, "fusion"), self._of_prior("fusion")),
            held_out=self._untouched(judged, "certificate"),
            held_out_prior=self._untouched(None, "certificate"),
            test=_counted(self.samples.decisions(judged, "test")),
            test_prior=_counted(self._of_prior("test")),
        )

    def _untouched(self, network: FusedNetwork | None, sample: str) -> Untouched | None:
        if len(self.samples.parts[sample][1]) == 0:
            return None
        return _counted(self._of_prior(sample) if network is None else self.samples.decisions(network, sample))


def _counted(seen: Decisions) -> Untouched:
    return Untouched(examples=seen.examples, errors=seen.errors, near_ties=seen.near_ties)


def _compare(model: Decisions, prior: Decisions) -> Counts:
    return Counts(
        examples=model.examples,
        errors=model.errors,
        near_ties=model.near_ties,
        prior_errors=prior.errors,
        prior_near_ties=prior.near_ties,
        worse=int((model.wrong_N & ~prior.wrong_N).sum()),
        better=int((prior.wrong_N & ~model.wrong_N).sum()),
    )
