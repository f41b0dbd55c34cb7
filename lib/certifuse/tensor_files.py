"""Tensors into a safetensors file, atomically; a refusal by the disk is told as for every other file."""

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from certifuse.provenance import write_atomically


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write CPU tensors.

    safetensors orders several entries of metadata differently in each run: give one where the bytes count.

    Raises:
        DiskError: the disk refuses the file.
    """
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}

    def write(temporary: Path) -> None:
        try:
            save_file(plain, temporary, metadata=dict(metadata))
        except SafetensorError as error:
            number = re.search(r"\(os error (\d+)\)", str(error))
            raise (OSError(int(number[1]), str(error)) if number else error) from None

    write_atomically(path, write, sum(tensor.nbytes for tensor in plain.values()))
