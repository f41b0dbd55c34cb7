"""Training that knows of the code: w in theta = theta0 + P w is used as its quantised self."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from certifuse.bounds.codebook import Codebook, Kind
from certifuse.bounds.quantisation import fit_codebook, straight_through
from certifuse.subspace.reparametrisation import SubspaceNetwork


def quantise_network(network: SubspaceNetwork, levels: int | None, kind: Kind) -> Codebook | None:
    """Put the network at theta0 + P quantise(w), by the best codebook for w as it is now; at None, back to w itself.

    Gradients pass the quantisation as if it were not there. The codebook stays until this is called again.
    """
    if levels is None:
        network.quantise = None
        return None
    codebook = fit_codebook(as_numbers(network.w), levels, kind)
    centroids = torch.from_numpy(codebook.centroids).to(network.w.device)
    network.quantise = lambda w_d: straight_through(w_d, centroids)
    return codebook


def as_numbers(w_d: Tensor) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """w as float32 numbers on the host."""
    numbers: np.ndarray[Any, np.dtype[np.float32]] = w_d.detach().float().cpu().numpy()
    return numbers
