"""A fused network in training, without files: for tests of single steps and epochs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from certifuse.data.images.splits import load_splits
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.device_images import on_device
from certifuse.models.images.architectures.registry import build_architecture
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.models.images.fusion.registry import build_fusion
from certifuse.study.settings.architectures import ResNetSettings
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.training.batch_norm import set_batch_norms
from certifuse.training.epoch import EpochTrainer
from certifuse.training.joint import JointNetwork, dual_path_objective, individual_objective, parameter_groups

MakeJoint = Callable[..., JointNetwork]


@pytest.fixture
def make_joint(tiny, tiny_images) -> MakeJoint:
    """`make_joint(fusion, lam, experts, seed, images, execution, blocks, **training)`; 72 images unless told."""

    def make(
        fusion: str | None = "concatenation",
        lam: float = 1.0,
        experts: int = 2,
        seed: int = 0,
        images: int = 72,
        execution: ExecutionSettings | None = None,
        blocks: tuple[int, ...] = (1, 1),
        **changes: Any,
    ) -> JointNetwork:
        step = tiny.fusion_step(fusion, **({"execution": execution} if execution else {}), **changes)
        training, runtime = step.training, runtimes.start(step.execution)
        torch.manual_seed(seed)
        members = [build_architecture("resnet", ResNetSettings(width=4, blocks=blocks), 4, 1) for _ in range(experts)]
        module = None if fusion is None else build_fusion(fusion, experts, members[0].feature_dim, training)
        network = FusedNetwork(members, module, 4)
        set_batch_norms(network, training)
        runtime.place(network)
        trainer = EpochTrainer(
            network=network,
            objective=dual_path_objective(lam, training) if fusion else individual_objective(training),
            groups=parameter_groups(network, training),
            data=on_device(tiny_images, load_splits(tiny.splits), runtime),
            indices=torch.arange(images),
            batch_size=training.batch_size,
            augmentation=training.augmentation,
            runtime=runtime,
            seed=seed,
            recipe=training,
        )
        return JointNetwork(network, trainer, torch.arange(200, 240), {"lambda": str(lam)}, training.label_smoothing)

    return make
