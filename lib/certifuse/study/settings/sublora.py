"""The study of language models in subspaces: corpus, network, cells, training, bounds."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from certifuse.base.digests import canonical_json, digest_bytes
from certifuse.base.errors import nearest
from certifuse.base.records import (
    Count,
    Index,
    Levels,
    MisfitError,
    NonNegative,
    OpenFraction,
    Positive,
    Seeds,
    Settings,
    distinct,
)
from certifuse.study.cells import SubloraCell
from certifuse.study.reading.plain_values import shown
from certifuse.study.settings.corpora import NO_BYTE_PAIRS, CorpusSettings
from certifuse.study.settings.language_models import (
    AllocationMode,
    AllocationSettings,
    GateWidths,
    LanguageModelSettings,
)

LEARNED: Final = "learned"
PLAIN_MODES: tuple[AllocationMode, ...] = ("uniform", "proportional", LEARNED, "lora_only", "subspace_only")
UNDIVIDED = ("lora_only", "subspace_only")
"""Modes without a budget that is divided among LoRA weights."""
NULLS: dict[str, bool] = {"learned_random": False, "learned_permuted": True, "learned_refixed": True}
"""Controls of mode `learned`, which train with splits that are given; and whether those come from its own run."""

MODE_PATTERN = "|".join([*PLAIN_MODES, *NULLS, r"fixed_1|fixed_0\.[0-9]*[1-9]"])
LONGEST_MODE = 30
"""Characters: a mode is a part of file names."""
INPUT_TOKENS = {"bytes": 257, "gpt2": 50257}
"""Rows of the input embedding for each tokenizer: the start token has one too."""


def is_mode(mode: str) -> bool:
    """True where there is a mode of this name."""
    return len(mode) <= LONGEST_MODE and re.fullmatch(MODE_PATTERN, mode) is not None


def _known_mode(mode: str) -> str:
    if not is_mode(mode):
        names = [*PLAIN_MODES, *NULLS, "fixed_0.2"]
        allowed = f"{', '.join(names)} (or another share of B)"
        raise ValueError(f"expected one of {allowed}, found {shown(mode)}{nearest(mode, names)}")
    return mode


Mode = Annotated[str, AfterValidator(_known_mode)]
Budgets = Annotated[tuple[Count, ...], Field(min_length=1), AfterValidator(distinct)]
Modes = Annotated[tuple[Mode, ...], Field(min_length=1), AfterValidator(distinct)]


class SubloraBlock(Settings):
    """A full product of its three lists."""

    budgets: Budgets = Field(
        description="d: the numbers that are trained. `lora_only` trains all LoRA weights instead."
    )
    modes: Modes = Field(
        description="What the numbers steer. `uniform`: all LoRA weights alike; `fixed_0.2` (any share): a fifth of "
        "them the matrices B, the others A; `proportional`: as many per weight in A as in B; `learned`: a split of its "
        "own for each layer and the head; `lora_only`: every LoRA weight by itself; `subspace_only`: the base weights, "
        "no LoRA. Controls of `learned`, trained with given splits: `learned_random` drawn, `learned_permuted` learned "
        "and moved to other layers, `learned_refixed` learned."
    )
    seeds: Seeds = Field(description="Seeds of the frozen weights, of the projectors and of the training batches.")


class GateSettings(GateWidths):
    """Search for the splits of mode `learned`: gates that narrow, and then are fixed."""

    lr: Positive = Field(default=5e-3, description="Base rate of the gates (cosine, same warm-up); they do not decay.")


class SubloraTraining(Settings):
    """Training of w in theta = theta0 + P w by AdamW, then again with w quantised."""

    steps: Count = Field(default=10_000, description="Optimiser steps at full precision.")
    batch_size: Count = Field(default=320, description="Windows per step, whatever the number of processes.")
    windows_per_pass: Count | None = Field(
        default=None, description="Windows of one process in memory at once; null: its whole share of the batch."
    )
    processes: Count = Field(default=1, description="Processes of one training, started by torchrun; one GPU each.")
    lr: Positive = Field(default=5e-4, description="Base rate (cosine).")
    min_lr: NonNegative = Field(default=6e-5, description="Rate at the end.")
    warmup_steps: Index = Field(default=2000, description="Steps of linear rise.")
    weight_decay: NonNegative = Field(default=0.01, description="Weight decay of w.")
    clip_norm: Positive | None = Field(default=1.0, description="Gradient norm limit of w.")
    validate_every: Count = Field(default=500, description="Steps between validations; the best one is kept.")
    validation_documents: Count = Field(default=200, description="Validation documents drawn for that, once for all.")
    projector: Literal["kronecker", "dense", "sparse"] = Field(
        default="kronecker",
        description="Kind of projector; `kronecker` is dense where that takes at most 2^20 numbers.",
    )
    gates: GateSettings = Field(default=GateSettings(), description="The splits of mode `learned`.")
    quantised_steps: Count = Field(default=1000, description="Further steps with w quantised, per number of levels.")
    quantised_lr: Positive = Field(default=1e-3, description="Base rate of w while it is quantised (cosine to zero).")
    codebook: Literal["free", "symmetric", "uniform"] = Field(
        default="symmetric",
        description="Free centroids (k-means), +-c in pairs, or equal steps around zero. The steps have 7 bits, so few "
        "that a fit can jump by a quarter while w is trained on as quantised; the others follow w closely.",
    )
    codebook_every: Count = Field(default=1, description="Steps between fits of the codebook to w.")

    @model_validator(mode="after")
    def _whole_shares(self) -> Self:
        if self.batch_size % self.processes:
            raise MisfitError(
                "batch_size", f"expected a multiple of processes = {self.processes}, found {self.batch_size}"
            )
        return self

    def for_mode(self, mode: str) -> "SubloraTraining":
        """These settings, with the gates at their defaults for a mode that has none."""
        return self if mode.startswith(LEARNED) else self.model_copy(update={"gates": GateSettings()})


MOST_DRAWS = 1_000_000
"""More than that is a waste: score all documents instead."""
MOST_CHOICES = 100
MOST_BATCH_TOKENS = 1_000_000
Draws = Annotated[int, Field(ge=2, le=MOST_DRAWS)]
ALL: Final = "all"


def _draws_or_all(value: Any) -> Any:
    """One sentence where there would be one for each of both kinds."""
    if value != ALL and not (type(value) is int and 2 <= value <= MOST_DRAWS):
        raise ValueError(f"expected a whole number from 2 to {MOST_DRAWS:,}, or all; found {shown(value)}")
    return value


class SubloraBounds(Settings):
    """Bounds on the loss of a new document, from training documents that are drawn once the model is coded, or all."""

    delta: OpenFraction = Field(default=0.05, description="Probability with which a bound may fail.")
    alphas: Annotated[
        tuple[OpenFraction, ...], Field(min_length=1, max_length=MOST_CHOICES), AfterValidator(distinct)
    ] = Field(
        default=(0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5),
        description="Shares of the uniform distribution that predictions are mixed with; the choice is paid for.",
    )
    subsample: Annotated[Draws | Literal["all"], BeforeValidator(_draws_or_all)] = Field(
        default=10_000,
        description="Training documents drawn, n, by a seed that follows from bitstream, documents and these settings. "
        "`all`: every document is scored, and there is no draw to trust or to pay for.",
    )
    token_subsample: Draws | None = Field(
        default=None,
        description="Documents drawn by length for the claim on tokens. Null: as many as `subsample`; with `all` there "
        "is no such draw.",
    )
    top_k: Annotated[tuple[Count, ...], Field(max_length=MOST_CHOICES), AfterValidator(distinct)] = Field(
        default=(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 50, 100), description="k of the top-k errors that are bounded too."
    )
    stride: Count | None = Field(
        default=None,
        description="Tokens between the windows of a document that is longer than the context. Null: the context, so "
        "that windows do not overlap; less gives more context and more work.",
    )
    batch_tokens: Annotated[int, Field(ge=1, le=MOST_BATCH_TOKENS)] = Field(
        default=16_384, description="Tokens scored at once; it can change last bits."
    )

    @model_validator(mode="after")
    def _draws_of_one_kind(self) -> Self:
        if self.whole and self.token_subsample is not None:
            problem = f"expected null where subsample is all, found {self.token_subsample}"
            raise MisfitError("token_subsample", problem)
        return self

    @property
    def whole(self) -> bool:
        """True where every document is scored."""
        return self.subsample == ALL

    @property
    def sha256(self) -> str:
        """SHA-256 of the terms of a claim: all of these settings but the size of a batch."""
        return digest_bytes(canonical_json(self.model_dump(mode="json", exclude={"batch_tokens"})).encode())


class SubloraSettings(Settings):
    """Language models that are pre-trained from scratch inside a subspace (SubLoRA, arXiv 2312.17173)."""

    corpus: CorpusSettings = Field(description="The documents.")
    model: LanguageModelSettings = Field(default=LanguageModelSettings(), description="The network.")
    grid: Annotated[tuple[SubloraBlock, ...], Field(min_length=1)] = Field(
        description="The trainings to run: a list of blocks."
    )
    levels: Annotated[tuple[Levels, ...], Field(min_length=1), AfterValidator(distinct)] = Field(
        default=(3, 11), description="Levels L that w is quantised to; each gives a certificate of its own."
    )
    training: SubloraTraining = Field(default=SubloraTraining(), description="Training.")
    bounds: SubloraBounds = Field(default=SubloraBounds(), description="Bounds.")
    ngrams: Annotated[tuple[Literal["uniform", "unigram", "bigram"], ...], AfterValidator(distinct)] = Field(
        default=("uniform", "unigram", "bigram"),
        description="Coded tables of counts, with certificates of their own: what a network has to beat.",
    )

    @model_validator(mode="after")
    def _fits_the_network(self) -> Self:
        for number, block in enumerate(self.grid):
            if "learned_permuted" in block.modes and self.model.layers < 2:
                raise MisfitError(f"grid.{number}.modes", "expected two layers or more for learned_permuted, found one")
            for mode, d in product(block.modes, block.budgets):
                self._check_budget(f"grid.{number}.budgets", mode, d)
        if self.bounds.stride is not None and self.bounds.stride > self.model.context:
            context, stride = self.model.context, self.bounds.stride
            raise MisfitError("bounds.stride", f"expected at most model.context = {context}, found {stride}")
        return self

    @model_validator(mode="after")
    def _byte_pairs_can_be_found(self) -> Self:
        if self.corpus.lacks_byte_pairs:
            raise MisfitError("corpus.gpt2_bpe", NO_BYTE_PAIRS)
        return self

    def _check_budget(self, where: str, mode: str, d: int) -> None:
        lowest = self.model.layers + 1 if mode.startswith(LEARNED) else 1
        if mode in UNDIVIDED:
            return
        if not lowest <= d <= self.lora_weights:
            model = self.model
            network = f"layers {model.layers}, width {model.width}, rank {model.lora.rank}"
            weights = f"{self.lora_weights} (the LoRA weights for {network}, tokenizer {self.corpus.tokenizer})"
            raise MisfitError(where, f"expected {lowest} to {weights} for mode {mode}, found {d}")

    @property
    def lora_weights(self) -> int:
        """Numbers in all LoRA matrices: A (rank, inputs) and B (outputs, rank) of query, value and head."""
        model = self.model
        per_layer = 2 * (model.width + model.width)
        head = model.width + INPUT_TOKENS[self.corpus.tokenizer]
        return model.lora.rank * (model.layers * per_layer + head)

    def cells(self) -> Iterator[SubloraCell]:
        """Every training in the order of the blocks; some may come more than once."""
        for block in self.grid:
            for d, mode, seed in product(block.budgets, block.modes, block.seeds):
                yield SubloraCell(self.lora_weights if mode == "lora_only" else d, mode, seed)


def allocation_of(mode: str, training: SubloraTraining) -> AllocationSettings:
    """The allocation behind a mode as paths and configurations name it. The controls are those of `learned`."""
    if mode.startswith("fixed_"):
        return AllocationSettings(mode="fixed", ratio=float(mode.removeprefix("fixed_")), projector=training.projector)
    gates = training.gates.model_dump(exclude={"lr"}) if mode.startswith(LEARNED) else {}
    kind: Any = LEARNED if mode in NULLS else mode
    return AllocationSettings(mode=kind, projector=training.projector, **gates)
