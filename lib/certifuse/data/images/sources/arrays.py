"""Arrays into image tensors: shared by the sources of images."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def channels_first(images_NHWC: NDArray[np.uint8]) -> Tensor:
    """Images (N, H, W, C) as (N, C, H, W)."""
    return torch.from_numpy(images_NHWC).permute(0, 3, 1, 2).contiguous()
