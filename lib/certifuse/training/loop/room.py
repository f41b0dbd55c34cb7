"""The room on disk that a training needs for all that it will store, looked for before it begins."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from certifuse.base.machine import require_room, stored_bytes
from certifuse.study.steps.training import TrainingFiles
from certifuse.training.optimisation import ParameterGroup, optimiser_bytes

STATES = 3
"""Stored states of a training at once: the newest, the one before, and the one that is being written."""
HEADER_BYTES = 320
"""Room for name, type, shape, place and digest of one tensor in the header of its file: the longest here takes 290."""
METADATA_BYTES = 2048
"""Room for what a file says of itself beside its tensors and the rows of the log."""
ROW_BYTES = 2048
"""Room for one row of the log, which every state holds."""
OPTIMISER_TENSORS = 3
"""The most that an optimiser keeps of one parameter: two buffers and the number of steps."""


def require_training_room(
    files: TrainingFiles,
    output: Path,
    weights: Mapping[str, Tensor],
    groups: Sequence[ParameterGroup],
    copies: int,
    epochs: int,
    stages: int = 1,
    weights_in_state: int = 2,
) -> None:
    """Look whether states and results have room. A state holds weights, and what the optimisers keep.

    Never less than what is written, headers and metadata included.

    Args:
        files: where the training writes.
        output: what the training alone writes to, a file or a directory.
        weights: all that is stored of the network.
        groups: what is trained.
        copies: how many times the weights are written to `output`.
        epochs: the most rows that a log gets.
        stages: trainings of this size that keep their states until the last has ended.
        weights_in_state: how many times a state holds the weights: as they are, the best, and an average where one is
            kept.

    Raises:
        UserError: there is less room than that, or a directory cannot be written.
    """
    weights_bytes = sum(tensor.nbytes for tensor in weights.values())
    copy_bytes = _file_bytes(weights_bytes, len(weights))
    kept_bytes = weights_in_state * weights_bytes + sum(optimiser_bytes(group.optimiser) for group in groups)
    kept_tensors = weights_in_state * (len(weights) + 1) + OPTIMISER_TENSORS * sum(
        len(group.parameters) for group in groups
    )
    state_bytes = _file_bytes(kept_bytes, kept_tensors) + epochs * ROW_BYTES
    require_room(
        f"the training ({STATES * stages} states of {state_bytes} bytes, {copies} times {copy_bytes} of weights)",
        {
            files.manifest.parent: copies * copy_bytes - stored_bytes(output),
            files.resume_dir: STATES * stages * state_bytes - stored_bytes(files.resume_dir),
            files.log_file.parent: 0,
        },
    )


def _file_bytes(data_bytes: int, tensors: int) -> int:
    return data_bytes + tensors * HEADER_BYTES + METADATA_BYTES
