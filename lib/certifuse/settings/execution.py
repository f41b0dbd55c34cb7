"""How a step computes: device, threads, precision. Everything here can change the last bits of a result."""

from typing import Literal

from pydantic import Field

from certifuse.settings.base import Count, Settings


class ExecutionSettings(Settings):
    """`auto` is decided from the device alone, never by timing; the manifest says what ran."""

    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="`auto`: CUDA where there is one.")
    threads: Count = Field(
        default=1,
        description=(
            "CPU threads of a step. Sums depend on it, so it is never taken from the machine. "
            "Experts without dropout train side by side on them."
        ),
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="`auto`: bf16 autocast where the device computes in bf16, else fp32."
    )
    channels_last: Literal["auto", "on", "off"] = Field(default="auto", description="`auto`: on.")
    compile: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="torch.compile in training. `auto`: on for CUDA with a C compiler, off for the CPU, where it "
        "needs a C++ compiler and time to compile, and makes a step of small networks a fifth faster.",
    )
    deterministic: bool = Field(default=True, description="Deterministic kernels only.")
