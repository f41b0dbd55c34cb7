"""Trained networks that are asked about images as they are: uint8, not normalised.

Shapes: N images, C channels, H height, W width, E experts, d features, K classes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from certifuse.base.errors import UserError
from certifuse.data.images.facts import ImageFacts
from certifuse.data.images.image_set import normalise
from certifuse.models.components.assembly import find_components, load_complete, load_network
from certifuse.models.components.files import read_header
from certifuse.models.images.blocks import ImageClassifier
from certifuse.models.images.fused_network import FusedNetwork, FusedOutput
from certifuse.study.reading.problems import read_settings

IMAGES_AT_ONCE = 512
EXPERT, COMPLETE = "expert", "complete"


class Classifier(nn.Module):
    """A trained network with its normalisation and its classes.

    Args:
        network: in evaluation mode from then on.
        facts: of the images that it was trained on.
    """

    mean_C: Tensor
    std_C: Tensor

    def __init__(self, network: FusedNetwork, facts: ImageFacts) -> None:
        super().__init__()
        self.network, self.facts = network.eval(), facts
        self.register_buffer("mean_C", torch.tensor(facts.mean))
        self.register_buffer("std_C", torch.tensor(facts.std))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels; their numbers where they have no names."""
        return self.facts.class_names or tuple(map(str, range(self.facts.num_classes)))

    @property
    def experts(self) -> tuple["Classifier", ...]:
        """Each expert by itself, with its own head."""
        experts = cast(Sequence[ImageClassifier], self.network.experts)
        alone = [FusedNetwork([expert], None, self.network.num_classes) for expert in experts]
        return tuple(Classifier(network, self.facts).to(self.mean_C.device) for network in alone)

    def forward(self, images_NCHW: Tensor) -> FusedOutput:
        """Global logits (N, K), expert logits (E, N, K) and features (E, N, d) of uint8 images (N, C, H, W)."""
        output: FusedOutput = self.network(normalise(images_NCHW, self.mean_C, self.std_C))
        return output

    def probabilities(self, images: NDArray[np.uint8] | Tensor) -> NDArray[np.float32]:
        """The probability of each class, (N, K), in the order of `class_names`.

        Args:
            images: uint8, (N, C, H, W) or (N, H, W, C), of the height and width of the training images.

        Raises:
            UserError: they are not of that type and shape.
        """
        parts = [functional.softmax(output.global_logits_NK.float(), -1) for output in self._outputs(images)]
        return torch.cat(parts).cpu().numpy()

    def predict(self, images: NDArray[np.uint8] | Tensor) -> list[str]:
        """The name of the most probable class of each image. Arguments and errors as of `probabilities`."""
        return [self.class_names[label] for label in self.probabilities(images).argmax(-1)]

    def features(self, images: NDArray[np.uint8] | Tensor) -> NDArray[np.float32]:
        """The features (E, N, d) of the experts. Arguments and errors as of `probabilities`."""
        return torch.cat([output.features_ENd.float() for output in self._outputs(images)], 1).cpu().numpy()

    def _outputs(self, images: NDArray[np.uint8] | Tensor) -> Iterator[FusedOutput]:
        images_NCHW = self._channels_first(torch.as_tensor(images))
        self.eval()
        with torch.inference_mode():
            for batch in torch.split(images_NCHW, IMAGES_AT_ONCE):
                yield self(batch.to(self.mean_C.device))

    def _channels_first(self, images: Tensor) -> Tensor:
        channels, height, width = self.facts.shape
        first, last = (channels, height, width), (height, width, channels)
        if images.dtype != torch.uint8:
            found = str(images.dtype).removeprefix("torch.")
            raise UserError(f"images: expected uint8 as they are, not normalised, found {found}")
        if images.ndim != 4 or len(images) == 0 or images.shape[1:] not in (first, last):
            found = " x ".join(map(str, images.shape))
            raise UserError(f"images: expected N x {_times(first)} or N x {_times(last)} with N >= 1, found {found}")
        if first == last and channels > 1:
            raise UserError(f"images: expected a shape that tells channels from rows, found {_times(first)}")
        return images if images.shape[1:] == first else images.permute(0, 3, 1, 2)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def load(path: str | Path) -> Classifier:
    """The trained network in a directory of components, in a complete file, or in the file of one expert.

    It is on the CPU, in evaluation mode; `.to("cuda")` moves it with its normalisation.

    Raises:
        UserError: nothing of that kind is there, it is damaged, or it does not say how its images are normalised.
    """
    path = Path(path)
    if path.is_dir():
        network = load_network(*find_components(path))
    else:
        kind = read_header(path)["spec"]["kind"]
        if kind not in (EXPERT, COMPLETE):
            raise UserError(f"{path}: expected an expert or a complete network, found {kind}: name a run's directory")
        network = load_network([path], None, None) if kind == EXPERT else load_complete(path)
    return Classifier(network, _facts(parts_of(path)))


def parts_of(path: Path) -> list[Path]:
    """The files that a network is made of: those in a directory of components, or the file itself."""
    if not path.is_dir():
        return [path]
    found = find_components(path)
    return [part for part in (*found.experts, found.fusion, found.global_head) if part is not None]


def _facts(parts: list[Path]) -> ImageFacts:
    """What all parts say of the images."""
    said: dict[Path, Any] = {part: read_header(part)["about"].get("images") for part in parts}
    for part, own in said.items():
        if own is None:
            raise UserError(
                f"{part}: expected a component that says how images are normalised, found none: train it with this "
                "version, or normalise the images and use certifuse.models.components.assembly.load_network"
            )
    first, *others = said.items()
    for part, own in others:
        if own != first[1]:
            raise UserError(f"{part}: expected the images of {first[0]}, found others: name parts of one data set")
    return read_settings(ImageFacts, first[1], f"{first[0]}: images")
