"""An epoch of joint training on PyTorch's `meta` device, in the place of a GPU: tensors without numbers.

What would mix devices fails, and so does what would make the host wait for the device, before the end of the epoch.
"""

import functools
import json
from typing import Any

import pytest
import torch

from certifuse.models.compute.device_images import DeviceImages
from certifuse.models.compute.runtime import Runtime
from certifuse.models.images.architectures.registry import architecture_settings, build_architecture
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.models.images.fusion.registry import build_fusion
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.study.settings.fusion import FUSIONS, FusionSettings
from certifuse.training import epoch as epochs
from certifuse.training.batch_norm import set_batch_norms
from certifuse.training.epoch import EpochTrainer
from certifuse.training.joint import dual_path_objective, parameter_groups
from certifuse.training.loop.finite import FiniteWatch

GPU = torch.device("meta")
SIZES: dict[str, dict[str, Any]] = {
    "resnet": {"width": 4, "blocks": [1, 1]},
    "densenet": {"growth": 4, "blocks": [1, 1]},
    "improved_wide_resnet": {"depth": 10, "widen_factor": 1},
    "resnext": {"blocks": [1], "cardinality": 2, "base_width": 2, "width": 4, "expansion": 2},
    "speednet": {"widths": [8, 8], "kernels": [1, 3]},
}
RECIPES: dict[str, dict[str, Any]] = {
    "guides": {"augmentation": "strong"},
    "cutmix": {"augmentation": "cutmix", "optimizer": "sgd"},
    "fast": {
        "augmentation": {"crop_padding": 2, "flip": "alternating"},
        "optimizer": "muon",
        "image_sizes": [[0.5, 12]],
        "train_norm_scales": False,
        "weight_average_decay": 0.9,
    },
}


class EndOfEpochError(Exception):
    """Where the trainer looks at what the device found, once an epoch."""


@pytest.fixture(autouse=True)
def _pretended(monkeypatch: Any) -> None:
    """No generators, fused kernels or autocast are made for this device: without them."""

    def end(_: FiniteWatch) -> None:
        raise EndOfEpochError

    monkeypatch.setattr(epochs, "torch_stream", lambda *_, device: None)
    for kind in ("SGD", "AdamW"):
        monkeypatch.setattr(torch.optim, kind, functools.partial(unfused, getattr(torch.optim, kind)))
    monkeypatch.setattr("torch.nn.utils.clip_grad._device_has_foreach_support", lambda _: True)
    monkeypatch.setattr(FiniteWatch, "require", end)


def unfused(kind: Any, *arguments: Any, fused: bool, **options: Any) -> Any:
    """An optimiser of operations on lists of tensors; what tells a fused one to withhold an update is put away."""
    optimiser = kind(*arguments, foreach=True, **options)
    step = optimiser.step

    def step_without_telling() -> None:
        del optimiser.found_inf
        step()

    optimiser.step = step_without_telling
    return optimiser


def trainer_on_gpu(architecture: str, fusion: str, recipe: str) -> EpochTrainer:
    """Two experts on 64 images of 16 x 16, in batches of 16."""
    keys = {"epochs": 2, "batch_size": 16, "augmentation": "none", "dropout": 0.0} | RECIPES[recipe]
    training = FusionSettings.model_validate_json(json.dumps(keys)).resolved(fusion)
    runtime = Runtime(
        device=GPU, bf16=False, channels_last=True, compile=False, deterministic=True, threads=1, side_by_side=False
    )
    settings = architecture_settings(architecture, SIZES[architecture])
    with GPU:
        members = [build_architecture(architecture, settings, 10, 3) for _ in range(2)]
        network = FusedNetwork(members, build_fusion(fusion, 2, members[0].feature_dim, training), 10)
    set_batch_norms(network, training)
    return EpochTrainer(
        network=network,
        objective=dual_path_objective(1.0, training),
        groups=parameter_groups(network, training, runtime.bf16),
        data=DeviceImages(
            images=torch.zeros(64, 3, 16, 16, dtype=torch.uint8, device=GPU),
            labels=torch.zeros(64, dtype=torch.int64, device=GPU),
            mean=torch.zeros(3, device=GPU),
            std=torch.ones(3, device=GPU),
            num_classes=10,
        ),
        indices=torch.arange(64, device=GPU),
        batch_size=16,
        augmentation=training.augmentation,
        runtime=runtime,
        seed=0,
        recipe=training,
    )


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("architecture", ARCHITECTURE_SETTINGS)
def test_architectures_and_recipes_stay_on_the_device(architecture: str, recipe: str) -> None:
    with pytest.raises(EndOfEpochError):
        trainer_on_gpu(architecture, "concatenation", recipe).run(0)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_fusion_rules_stay_on_the_device(fusion: str) -> None:
    with pytest.raises(EndOfEpochError):
        trainer_on_gpu("resnet", fusion, "guides").run(0)


@pytest.mark.parametrize(
    "flaw",
    [
        lambda total: total * torch.ones(2)[0:1].sum().reshape(1),
        lambda total: total * float(total),
        lambda total: total * len(total.reshape(1).nonzero()),
    ],
    ids=["a tensor left on the CPU", "a number read from the device", "a size that depends on numbers"],
)
def test_flaws_of_this_kind_are_found(flaw: Any) -> None:
    trainer = trainer_on_gpu("resnet", "concatenation", "guides")
    right = trainer.objective
    trainer.objective = lambda output, targets: {"total": flaw(right(output, targets)["total"])}
    with pytest.raises(Exception) as raised:
        trainer.run(0)
    assert not isinstance(raised.value, EndOfEpochError)
