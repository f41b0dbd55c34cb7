"""A trained network as one file that runs without this software, with its normalisation inside.

The program in the file takes uint8 images (N, C, H, W), not normalised, for any N of at least 1, and returns the
probabilities (N, K). N images, C channels, H height, W width, K classes.
"""

import importlib.util
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from certifuse.base.errors import UserError
from certifuse.base.files import write_atomically
from certifuse.base.randomness import torch_stream
from certifuse.interface.networks import Classifier, load, parts_of
from certifuse.models.components.files import read_header

FACTS_KEY = "certifuse.json"
"""In the file: what the component says of itself, with the names of the classes, as JSON."""
TOLERANCE = 1e-5
"""The largest difference of a probability between the network and the program that is written."""
TRACED_IMAGES, CHECKED_IMAGES = 2, 3
ONNX_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
INPUT, OUTPUT = "images", "probabilities"

Program = Callable[[Tensor], NDArray[np.float32]]


class Probabilities(nn.Module):
    """uint8 images (N, C, H, W) to probabilities (N, K)."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        return functional.softmax(self.classifier(images).global_logits_NK.float(), -1)


def export(source: str | Path, target: str | Path, form: str) -> None:
    """Write the network in `source` to `target`, a new file. What is written has been run and compared before.

    Args:
        source: what `load` takes.
        target: the file to write.
        form: a key of `FORMS`: `torch` (a program for `torch.export.load`) or `onnx`.

    Raises:
        UserError: `source` is refused by `load`; `target` exists; a package is missing; or the program's probabilities
            differ from those of the network by more than `TOLERANCE`.
    """
    source, target = Path(source), Path(target)
    if target.exists():
        raise UserError(f"{target}: expected a new file, found one: choose another name or delete it")
    classifier = load(source)
    content, program = FORMS[form](classifier, _facts_text(source, classifier))
    _compare(classifier, program, source, form)
    write_atomically(target, lambda temporary: _write(temporary, content), len(content))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _facts_text(source: Path, classifier: Classifier) -> str:
    """What all parts of the network agree on, with the names of its classes, as JSON."""
    first, *others = [read_header(part)["about"] for part in parts_of(source)]
    agreed = {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
    return json.dumps(agreed | {"class_names": list(classifier.class_names)}, sort_keys=True)


def _compare(classifier: Classifier, program: Program, source: Path, form: str) -> None:
    """UserError unless program and network agree on random images, more of them than the program was traced with."""
    images = _random_images(classifier, CHECKED_IMAGES)
    difference = float(np.abs(program(images) - classifier.probabilities(images)).max())
    if not difference <= TOLERANCE:
        raise UserError(
            f"{source}: expected the {form} program to give the network's probabilities to {TOLERANCE:g}, found a "
            f"difference of {difference:g}: use the other form, or another version of torch"
        )


def _random_images(classifier: Classifier, count: int) -> Tensor:
    stream = torch_stream(0, "export")
    return torch.randint(256, (count, *classifier.facts.shape), generator=stream, dtype=torch.uint8)


def _traced(classifier: Classifier) -> torch.export.ExportedProgram:
    images = _random_images(classifier, TRACED_IMAGES)
    sizes = {INPUT: {0: torch.export.Dim("N", min=1)}}
    return torch.export.export(Probabilities(classifier).eval(), (images,), dynamic_shapes=sizes)


# ---- forms ---------------------------------------------------------------------------------------


def _as_torch(classifier: Classifier, facts: str) -> tuple[bytes, Program]:
    stream = io.BytesIO()
    torch.export.save(_traced(classifier), stream, extra_files={FACTS_KEY: facts})
    module = torch.export.load(io.BytesIO(stream.getvalue())).module()
    return stream.getvalue(), lambda images: module(images).detach().numpy()


def _as_onnx(classifier: Classifier, facts: str) -> tuple[bytes, Program]:
    missing = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        needed = " ".join(ONNX_PACKAGES)
        raise UserError(f"export --to onnx: expected the package {missing[0]}, found none: pip install {needed}")
    import onnxruntime

    with warnings.catch_warnings():
        # torch 2.13 warns of a call of its own
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
        program = torch.onnx.export(
            _traced(classifier), dynamo=True, verbose=False, input_names=[INPUT], output_names=[OUTPUT]
        )
    if program is None:
        raise ValueError("torch.onnx.export: expected a program, found none")
    model = program.model_proto
    model.metadata_props.add(key=FACTS_KEY, value=facts)
    content: bytes = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> NDArray[np.float32]:
        (probabilities_NK,) = session.run([OUTPUT], {INPUT: images.numpy()})
        found: NDArray[np.float32] = probabilities_NK
        return found

    return content, run


FORMS: dict[str, Callable[[Classifier, str], tuple[bytes, Program]]] = {"torch": _as_torch, "onnx": _as_onnx}
