"""The networks behind a certificate: the prior from its experts, and the decoded model from its bitstream."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from certifuse.base.errors import UserError
from certifuse.base.randomness import initialising
from certifuse.base.tensors import digest_tensors
from certifuse.certificates.images.certificate import ModelDescription, ProjectorDescription
from certifuse.models.components.assembly import assemble, build_described_fusion
from certifuse.models.components.files import load_component
from certifuse.models.images.blocks import ImageClassifier
from certifuse.models.images.fused_network import AnchoredNetwork, FusedNetwork
from certifuse.models.subspace.projectors import PROJECTORS, IdentityProjector, Projector
from certifuse.models.subspace.reparametrisation import SubspaceNetwork, trainable_size

IDENTITY = "identity"


def prior_network(
    experts: Sequence[Path], fusion_spec: Mapping[str, Any], seed: int, *, anchored: bool, parameters: str
) -> FusedNetwork:
    """theta0 on the CPU: the pre-trained experts, and fusion module and head from a seed.

    `anchored` starts it as the experts' average; `parameters` says which of its parameters theta consists of
    (`everything` or `fusion_and_head`); the others require no gradient.
    """
    average = assemble([load_component(path) for path in experts], None, None)
    modules = cast(list[ImageClassifier], list(average.experts))
    with initialising(seed, "fusion", fusion_spec["fusion"], "weights"):
        module = build_described_fusion(dict(fusion_spec))
        kind = AnchoredNetwork if anchored else FusedNetwork
        network = kind(modules, module, average.num_classes)
    if parameters == "fusion_and_head":
        network.experts.requires_grad_(False)
    return network


def make_projector(
    kind: str, seed: int, subspace_dim: int, ambient_dim: int, device: torch.device | str = "cpu"
) -> Projector:
    """The projector of a description. UserError for one that does not exist or does not fit."""
    if kind == IDENTITY and subspace_dim == ambient_dim:
        return IdentityProjector(ambient_dim, device)
    if kind not in PROJECTORS or not 1 <= subspace_dim <= ambient_dim:
        raise UserError(
            f"projector: expected one of {', '.join(PROJECTORS)} with 1 <= d <= D, found {kind!r} with "
            f"d = {subspace_dim} and D = {ambient_dim}: choose a smaller d"
        )
    return PROJECTORS[kind](subspace_dim, ambient_dim, seed, device)


def describe(
    network: FusedNetwork, architecture: str, fusion_spec: Mapping[str, Any], seed: int, parameters: str,
    projector: ProjectorDescription,
) -> ModelDescription:  # fmt: skip
    """The description of a prior and its projector, from which `described_prior` rebuilds the prior."""
    return ModelDescription(
        architecture=architecture,
        fusion=dict(fusion_spec),
        anchored=isinstance(network, AnchoredNetwork),
        parameters=parameters,
        initialisation_seed=seed,
        projector=projector,
        theta0_sha256=state_digest(network),
    )


def described_prior(model: ModelDescription, experts: Sequence[Path]) -> FusedNetwork:
    """The prior of a certificate. UserError unless it is the very one that was certified."""
    network = prior_network(
        experts, model.fusion, model.initialisation_seed, anchored=model.anchored, parameters=model.parameters
    )
    found = state_digest(network)
    if found != model.theta0_sha256:
        raise UserError(
            f"theta0: expected SHA-256 {model.theta0_sha256}, found {found}: the prior was not regenerated; "
            "use the PyTorch version of the certificate's environment"
        )
    return network


def decoded_network(prior: FusedNetwork, projector: ProjectorDescription, w_d: Tensor) -> FusedNetwork:
    """A new network at theta0 + P w, with the buffers of the prior."""
    size = trainable_size(prior)
    if projector.ambient_dim != size or len(w_d) != projector.subspace_dim:
        raise UserError(
            f"bitstream: expected {projector.subspace_dim} numbers for a model of {projector.ambient_dim} parameters, "
            f"found {len(w_d)} for one of {size}"
        )
    network = copy.deepcopy(prior)
    subspace = SubspaceNetwork(
        copy.deepcopy(prior),
        make_projector(projector.kind, projector.seed, projector.subspace_dim, projector.ambient_dim),
    )
    with torch.no_grad():
        subspace.w.copy_(w_d)
    subspace.write_into(network)
    return network


def parameter_vector(network: FusedNetwork) -> Tensor:
    """All parameters that require a gradient, end to end, in the order of `SubspaceNetwork`: shape (D,)."""
    parts = [parameter.detach().reshape(-1) for parameter in network.parameters() if parameter.requires_grad]
    return torch.cat(parts)


def state_digest(network: FusedNetwork) -> str:
    """SHA-256 of every parameter and buffer by name."""
    return digest_tensors(network.state_dict())
