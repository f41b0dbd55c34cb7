"""The language models, their LoRA weights, and how the subspace budget is allocated to those."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from certifuse.base.records import Count, Fraction, MisfitError, OpenFraction, Positive, Probability, Settings

SizeName = Literal["gpt2_small", "gpt2_medium", "gpt2_large", "gpt2_xl"]

GPT2_SIZES: dict[SizeName, dict[str, int]] = {
    "gpt2_small": {"layers": 12, "heads": 12, "width": 768, "context": 1024},
    "gpt2_medium": {"layers": 24, "heads": 16, "width": 1024, "context": 1024},
    "gpt2_large": {"layers": 36, "heads": 20, "width": 1280, "context": 1024},
    "gpt2_xl": {"layers": 48, "heads": 25, "width": 1600, "context": 1024},
}
"""The published sizes (Radford et al. 2019, table 2)."""


class LoraSettings(Settings):
    """Low-rank additions W = W0 + (alpha / rank) B A to query, value and head (Hu et al. 2021, arXiv 2106.09685)."""

    rank: Count = Field(default=4, description="Rows of A, columns of B; at most the width.")
    alpha: Positive = Field(default=32.0, description="B A is multiplied by alpha / rank.")
    dropout: Probability = Field(default=0.0, description="Dropout on the input of A, in training only.")


class LanguageModelSettings(Settings):
    """A GPT-2 network. `size` gives the keys that are not set; the size of the vocabulary is the tokeniser's."""

    size: SizeName | None = Field(
        default=None, description="A published size, for the keys below that are not set; null: their defaults."
    )
    layers: Annotated[int, Field(ge=1, le=1000)] = Field(default=12, description="Transformer blocks.")
    heads: Count = Field(default=12, description="Attention heads of a block; a divisor of the width.")
    width: Count = Field(default=768, description="Size of an embedding.")
    context: Count = Field(default=1024, description="Tokens that a prediction may look back on, at most.")
    lora: LoraSettings = Field(default=LoraSettings(), description="The low-rank weights.")

    @model_validator(mode="before")
    @classmethod
    def _filled_from_size(cls, values: Any) -> Any:
        size = values.get("size") if isinstance(values, dict) else None
        return {**GPT2_SIZES[size], **values} if isinstance(size, str) and size in GPT2_SIZES else values

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        if self.width % self.heads:
            raise MisfitError("width", f"expected a multiple of heads = {self.heads}, found {self.width}")
        return self

    @model_validator(mode="after")
    def _low_rank(self) -> Self:
        if self.lora.rank > self.width:
            raise MisfitError("lora.rank", f"expected at most the width = {self.width}, found {self.lora.rank}")
        return self


AllocationMode = Literal["uniform", "fixed", "proportional", "learned", "lora_only", "subspace_only"]


class GateWidths(Settings):
    """Widths of the gates of mode `learned`, which narrow until the splits are fixed."""

    tau_start: Positive = Field(default=10.0, description="Width of a gate at the start, in directions.")
    tau_end: Positive = Field(default=0.1, description="Width of a gate when it hardens, in directions.")
    harden_at: OpenFraction = Field(default=0.5, description="Share of the steps after which the splits are fixed.")

    @model_validator(mode="after")
    def _narrowing(self) -> Self:
        if self.tau_end > self.tau_start:
            raise MisfitError("tau_end", f"expected at most tau_start = {self.tau_start:g}, found {self.tau_end:g}")
        return self


class AllocationSettings(GateWidths):
    """Choice of the weights that the d numbers of a model steer: the LoRA matrices A, the matrices B, or both."""

    mode: AllocationMode = Field(
        default="uniform",
        description="`uniform`: one projector for all LoRA weights; `fixed`: `ratio` of the budget for B, the rest for "
        "A; `proportional`: fixed at the share of B among the weights; `learned`: a split of its own for each layer "
        "and the head; `lora_only`: all LoRA weights, no projector; `subspace_only`: all base weights, no LoRA.",
    )
    ratio: Fraction | None = Field(
        default=None, description="`fixed` only: share of the budget for B. At 0, B and so the model stay as they were."
    )
    projector: Literal["kronecker", "dense", "sparse"] = Field(
        default="kronecker",
        description="Kind of projector; `kronecker` is dense where that takes at most 2^20 numbers.",
    )

    @model_validator(mode="after")
    def _ratio_fits_mode(self) -> Self:
        if (self.mode == "fixed") != (self.ratio is not None):
            problem = "needs a ratio" if self.ratio is None else f"takes no ratio, found {self.ratio:g}"
            raise ValueError(f"mode {self.mode} {problem}: set it for mode fixed, and for no other")
        return self
