"""Certifuse: expert fusion and subspace allocation, with generalisation certificates.

>>> import certifuse
>>> network = certifuse.load("results/fusion_checkpoints/resnet_fusions_lambda_1.0/concatenation/seed_0")
>>> network.probabilities(images_uint8), network.predict(images_uint8), network.class_names
>>> certifuse.results("results")["comparison"]
>>> certifuse.verify("results/certificates")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from certifuse.interface.networks import load
    from certifuse.interface.tables import results
    from certifuse.interface.verification import verify

__version__ = "0.1.0"
__all__ = ["load", "results", "verify"]

_MODULES = {"load": "networks", "results": "tables", "verify": "verification"}


def __getattr__(name: str) -> Any:
    """A function of the interface, whose module is imported when it is first asked for: PyTorch takes a second."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.interface.{_MODULES[name]}"), name)
