"""The parts of a training recipe that experts and fused networks share: each is off unless it is asked for."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from certifuse.base.records import Count, OpenFraction, Positive, Probability, Settings, added

Schedule = Literal["constant", "cosine", "cosine_warm_restarts", "triangular"]


class MuonSettings(Settings):
    """Muon (Jordan et al. 2024): filters and matrices move along the nearest orthogonal matrix of their momentum.

    Only for `optimizer: muon`. Norms, biases and heads are no such matrices and have an optimiser of their own.
    """

    momentum: Probability = Field(default=0.95, description="Nesterov momentum of the filters and matrices.")
    steps: Count = Field(default=5, description="Newton-Schulz steps towards the orthogonal matrix.")
    normalise_filters: bool = Field(
        default=False,
        description="Before each step every filter bank gets the norm of orthonormal filters, the root of their "
        "number, so that the rate is an angle; for networks whose filters are followed by a norm.",
    )
    others: Literal["sgd", "adamw"] = Field(default="sgd", description="The optimiser of norms, biases and heads.")
    norm_lr_factor: Positive = Field(default=1.0, description="Rate of norms and biases, by that of the filters.")
    head_lr_factor: Positive = Field(default=1.0, description="Rate of the linear heads, by that of the filters.")


ImageSize = tuple[OpenFraction, Count]
"""The share of all steps until which training images have a height, and that height in pixels."""


def _in_order(sizes: tuple[ImageSize, ...]) -> tuple[ImageSize, ...]:
    ends = [until for until, _ in sizes]
    if ends != sorted(set(ends)):
        raise ValueError(f"expected shares that rise from part to part, found {', '.join(map(str, ends))}")
    return sizes


class Recipe(Settings):
    """What a training may add to its optimiser and its rates."""

    muon: MuonSettings = added(MuonSettings(), "Details of `optimizer: muon`.")
    image_sizes: Annotated[tuple[ImageSize, ...], AfterValidator(_in_order)] = added(
        (),
        "Smaller training images for a start: `[[0.15, 20], [0.5, 24]]` scales them to 20 pixels of height until 15 % "
        "of all steps and to 24 until half of them (progressive resizing: Howard 2018; Tan and Le 2021, arXiv "
        "2104.00298). Validation and test images keep their size.",
    )
    batch_norm_momentum: OpenFraction | None = added(
        None, "Weight of a new batch in the running statistics of batch norms; null: PyTorch's 0.1."
    )
    train_norm_scales: bool = added(
        True, "Train the scales of batch norms; off: they stay as they are (Page 2018; Jordan 2024, arXiv 2404.00498)."
    )
    weight_average_decay: OpenFraction | None = added(
        None,
        "Validate and store an exponential moving average of all steps' weights with this decay (Polyak and Juditsky "
        "1992); null: the weights of the last step.",
    )

    def unread_keys(self, optimizer: str) -> dict[str, object]:
        """The keys that this optimiser does not read, at their defaults."""
        return {} if optimizer == "muon" else {"muon": MuonSettings().plain()}
