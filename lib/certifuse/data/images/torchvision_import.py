"""torchvision.datasets beside a PyTorch that torchvision's compiled part was not built for."""

import functools
import importlib
from types import ModuleType

import torch


def import_torchvision_datasets() -> ModuleType:
    """The module `torchvision.datasets`.

    torchvision from PyPI is built for CUDA. Beside a CPU-only PyTorch its compiled operators do not load, and the
    import then fails where it describes the first of them: "operator torchvision::nms does not exist". Data sets need
    no operator, so in this one case the names are declared (without an implementation) and the import is repeated.
    """
    try:
        return importlib.import_module("torchvision.datasets")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
    _declare_operators()
    return importlib.import_module("torchvision.datasets")


@functools.cache
def _declare_operators() -> torch.library.Library:
    """Declare the two operators that torchvision 0.28 describes at import; the cache keeps the Library alive."""
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    return library
