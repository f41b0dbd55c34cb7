"""Whether a training has room on disk for all that it will store, seen before it begins."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from certifuse.disk import require_room, stored_bytes
from certifuse.training.optimisation import ParameterGroup, optimiser_bytes
from certifuse.training.record import RunFiles

STATES = 3
"""Stored states of a training at once: the newest, the one before, and the one that is being written."""


def require_training_room(
    files: RunFiles,
    output: Path,
    weights: Mapping[str, Tensor],
    groups: Sequence[ParameterGroup],
    copies: int,
    stages: int = 1,
) -> None:
    """Look whether states and results have room. A state holds the weights twice, and what the optimisers keep.

    Args:
        files: where the training writes.
        output: what the training alone writes to, a file or a directory.
        weights: all that is stored of the network.
        groups: what is trained.
        copies: how many times the weights are written to `output`.
        stages: trainings of this size that keep their states until the last has ended.

    Raises:
        UserError: there is less room than that, or a directory cannot be written.
    """
    weights_bytes = sum(tensor.nbytes for tensor in weights.values())
    state_bytes = 2 * weights_bytes + sum(optimiser_bytes(group.optimiser) for group in groups)
    results_bytes = copies * weights_bytes
    require_room(
        f"the training ({STATES * stages} states of {state_bytes} bytes, {copies} times {weights_bytes} of weights)",
        {
            files.manifest.parent: results_bytes - stored_bytes(output),
            files.resume: STATES * stages * state_bytes - stored_bytes(files.resume),
            files.log.parent: 0,
        },
    )
