"""Count mistakes, for whoever writes a certificate and whoever verifies one."""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import torch
from torch import Tensor

from certifuse.certificates.coding.codec import CodedVector
from certifuse.certificates.images.certificate import Counts, ModelDescription, Untouched
from certifuse.certificates.images.model import decoded_network
from certifuse.data.images.image_set import ImageSet, load_image_set
from certifuse.data.images.splits import Splits, load_splits
from certifuse.evaluation.images.decisions import Decisions, decide
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.device_images import DeviceImages, official_test_on_device, on_device
from certifuse.models.compute.inference import fused_logits_of
from certifuse.models.compute.runtime import Runtime
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.study.settings.evaluation import ExecutionSettings


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


@dataclass(frozen=True, eq=False)
class Verdict:
    """Decisions of a model and of its prior on one sample."""

    model: Decisions
    prior: Decisions

    @property
    def counts(self) -> Counts:
        """The mistakes of both, and where they differ."""
        model_N, prior_N = self.model.wrong_N, self.prior.wrong_N
        return Counts(
            examples=self.model.examples,
            errors=self.model.errors,
            prior_errors=self.prior.errors,
            worse=int((model_N & ~prior_N).sum()),
            better=int((prior_N & ~model_N).sum()),
        )


@dataclass(frozen=True, eq=False)
class Measured:
    """The verdict on the decoded model where it was trained, and on the judged one where nothing was."""

    fusion: Verdict
    certificate: Verdict | None
    test: Verdict


class Judge:
    """Judges the models of one prior, which is run once however many models there are."""

    def __init__(self, samples: Samples, prior: FusedNetwork, model: ModelDescription):
        self.samples, self.prior, self.model = samples, prior, model
        self._of_prior = cache(lambda sample: samples.decisions(prior, sample))

    def measure(self, coded: CodedVector, trained: FusedNetwork | None = None) -> Measured:
        """Rebuild and count. `trained` is judged on the images that it was not trained on, else the decoded model is.

        Raises:
            UserError: the decoded vector does not fit the model.
        """
        decoded = decoded_network(self.prior, self.model.projector, torch.from_numpy(coded.values))
        judged = decoded if trained is None else trained
        keeps_some = len(self.samples.splits.certificate) > 0
        return Measured(
            fusion=self._verdict(decoded, "fusion"),
            certificate=self._verdict(judged, "certificate") if keeps_some else None,
            test=self._verdict(judged, "test"),
        )

    def _verdict(self, network: FusedNetwork, sample: str) -> Verdict:
        return Verdict(self.samples.decisions(network, sample), self._of_prior(sample))


def untouched(seen: Decisions) -> Untouched:
    """The mistakes of one model on images that it was chosen without."""
    return Untouched(examples=seen.examples, errors=seen.errors)
