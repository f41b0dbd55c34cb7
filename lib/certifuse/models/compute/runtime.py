"""Device, precision and memory layout: what `auto` means here, decided without timing anything."""

import contextlib
import ctypes
import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from certifuse.base.errors import UserError
from certifuse.base.randomness import make_deterministic
from certifuse.models.compute.experts import HasExperts
from certifuse.models.compute.lease import take_gpu
from certifuse.models.compute.side_by_side import run_side_by_side
from certifuse.study.settings.evaluation import ExecutionSettings


@dataclass(frozen=True)
class Runtime:
    """The choices of `ExecutionSettings` with every `auto` decided."""

    device: torch.device
    bf16: bool
    channels_last: bool
    compile: bool
    deterministic: bool
    threads: int
    side_by_side: bool

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision of a forward pass."""
        if not self.bf16:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device in the chosen layout, compiled in place where that is chosen.

        On a CPU the experts of a network are compiled one by one, since they are alike and then compile once.
        Where they train side by side, this sets the threads inside each operation (see `run_side_by_side`).
        """
        network = network.to(self.device)
        if self.channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.compile:
            alike = network.experts if isinstance(network, HasExperts) and self.device.type == "cpu" else [network]
            for module in alike:
                module.compile()
        if self.side_by_side and isinstance(network, HasExperts):
            run_side_by_side(network, self.threads)
        return network

    def arrange(self, images_NCHW: Tensor) -> Tensor:
        """A batch in the chosen layout."""
        return images_NCHW.contiguous(memory_format=torch.channels_last) if self.channels_last else images_NCHW

    def record(self) -> dict[str, Any]:
        """The choices as they ran, for the manifest."""
        cuda = self.device.type == "cuda"
        return {
            "device": torch.cuda.get_device_name(self.device) if cuda else "cpu",
            "precision": "bf16" if self.bf16 else "fp32",
            "channels_last": self.channels_last,
            "compile": self.compile,
            "deterministic": self.deterministic,
            "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
            "threads": self.threads,
            "tf32": bool(cuda and (torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32)),
        }


def computes_in_bf16(device: torch.device) -> bool:
    """True where the device has bf16 arithmetic of its own (a CPU that emulates it is slower than fp32)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def keep_freed_memory() -> None:
    """Let the allocator keep large blocks that are freed, where the C library is glibc.

    By default it returns them to the kernel and has them back, page by page and filled with zeros, at the next step:
    a twentieth of a step in bf16, more in fp32.
    """
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**30)


def has_compiler() -> bool:
    """True where there is the C compiler that torch.compile builds its launchers with."""
    return any(shutil.which(name) for name in ("cc", "gcc", "clang"))


def start(settings: ExecutionSettings, *, training: bool = True) -> Runtime:
    """Decide every `auto` and set threads, determinism, precision and allocation for this process.

    Evaluation (`training=False`) makes one pass, which no compilation pays for. On CUDA the process takes the GPU that
    it was assigned, or a lease on a free one (see `lease`).

    Raises:
        UserError: CUDA was asked for and there is none.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UserError("execution.device: expected a CUDA device, found none: use auto or cpu, or a GPU node")
    use_cuda = settings.device != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda", take_gpu(torch.cuda.device_count())) if use_cuda else torch.device("cpu")
    if settings.deterministic:
        make_deterministic(settings.threads)
    else:
        torch.set_num_threads(settings.threads)
    keep_freed_memory()
    torch.backends.cudnn.allow_tf32 = False
    automatic = {"auto": computes_in_bf16(device), "bf16": True, "fp32": False}
    compiles = training and (settings.compile == "on" or (settings.compile == "auto" and use_cuda and has_compiler()))
    return Runtime(
        device=device,
        bf16=automatic[settings.precision],
        channels_last=settings.channels_last != "off",
        compile=compiles,
        deterministic=settings.deterministic,
        threads=settings.threads,
        side_by_side=training and not use_cuda,
    )
