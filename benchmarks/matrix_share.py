"""The share of the machine's matrix rate that a training step reaches, network by network, as JSON.

    python benchmarks/matrix_share.py > matrix_share.json

The matrix rate is that of `torch.mm` of two square matrices in the precision in which the library trains here (bf16
where the device computes in it), on as many threads. Operations of a step are counted by PyTorch's `FlopCounterMode`:
those of the convolutions and matrices of both passes, two for a multiplication and an addition; whatever else a step
does (norms, activations, augmentation, optimiser) counts as time only. A step is one of `EpochTrainer`: normalising,
flipping and cropping from uint8, both passes, and the update.

For each network the rate is measured before and after the timed steps, and the share is that of the mean of both, since
the clock of a machine changes; medians of `--repetitions`. About three minutes on one core; nothing else should run.
"""

import argparse
import json
import statistics
import sys
import time
from typing import Any

CLASSES, SIZE = 100, 32
NETWORKS: dict[str, dict[str, Any]] = {
    "resnet_16": {"name": "resnet", "width": 16, "blocks": [1, 1, 1]},
    "resnet_32": {"name": "resnet", "width": 32, "blocks": [1, 1, 1]},
    "resnet_64": {"name": "resnet", "width": 64, "blocks": [1, 1, 1]},
    "resnet_18": {"name": "resnet", "width": 64, "blocks": [2, 2, 2, 2]},
    "wrn_16_4": {"name": "improved_wide_resnet", "depth": 16, "widen_factor": 4, "dropout": 0.0},
    "speednet_narrow": {"name": "speednet", "widths": [32, 128, 256]},
    "speednet": {"name": "speednet", "widths": [64, 256, 512]},
}


def matrix_rate(runtime: Any, size: int, seconds: float) -> float:
    """Operations a second of the product of two square matrices, of at least so many seconds."""
    import torch

    dtype = torch.bfloat16 if runtime.bf16 else torch.float32
    left, right = (torch.randn(size, size, device=runtime.device).to(dtype) for _ in range(2))
    torch.mm(left, right)
    count, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        torch.mm(left, right)
        count += 1
    return 2 * size**3 * count / elapsed


def trainer_of(architecture: dict[str, Any], batch_size: int, steps: int, runtime: Any) -> Any:
    """A training of one network on images without meaning, on which its speed does not depend."""
    import torch

    from certifuse.models.components.assembly import build_expert, expert_spec
    from certifuse.models.compute.device_images import DeviceImages
    from certifuse.study.settings.augmentation import AUGMENTATIONS
    from certifuse.study.settings.pretraining import ExpertTraining
    from certifuse.training.epoch import EpochTrainer
    from certifuse.training.single import single_groups, single_objective

    generator = torch.Generator().manual_seed(0)
    count = batch_size * steps
    images_NCHW = torch.randint(256, (count, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    labels_N = torch.randint(CLASSES, (count,), generator=generator)
    network = build_expert(expert_spec(architecture, CLASSES, 3))
    network.fit_to_pool(images_NCHW, [0.5] * 3, [0.29] * 3)
    runtime.place(network)
    training = ExpertTraining(
        epochs=1000, batch_size=batch_size, optimizer="sgd", augmentation=AUGMENTATIONS["standard"]
    )
    device = runtime.device
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.29)
    return EpochTrainer(
        network=network,
        objective=single_objective(training.label_smoothing),
        groups=single_groups(network, training, runtime.bf16),
        data=DeviceImages(images_NCHW.to(device), labels_N.to(device), mean.to(device), std.to(device), CLASSES),
        indices=torch.arange(count, device=device),
        batch_size=batch_size,
        augmentation=training.augmentation,
        runtime=runtime,
        seed=0,
        recipe=training,
    )


def operations_per_image(trainer: Any) -> float:
    """Those of the matrices and convolutions of an epoch, by image."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        trainer.run(0)
    return float(counter.get_total_flops()) / trainer.images_per_epoch


def measure(architecture: dict[str, Any], runtime: Any, arguments: Any) -> dict[str, Any]:
    """One network."""
    trainer = trainer_of(architecture, arguments.batch_size, arguments.steps, runtime)
    operations = operations_per_image(trainer)
    shares, rates = [], []
    for repetition in range(arguments.repetitions):
        before = matrix_rate(runtime, arguments.size, arguments.seconds)
        began = time.perf_counter()
        trainer.run(repetition + 1)
        rates.append(trainer.images_per_epoch / (time.perf_counter() - began))
        after = matrix_rate(runtime, arguments.size, arguments.seconds)
        shares.append(rates[-1] * operations / statistics.fmean([before, after]))
    return {
        "share": round(statistics.median(shares), 3),
        "shares": [round(share, 3) for share in shares],
        "images_per_second": round(statistics.median(rates), 1),
        "operations_per_image": operations,
        "parameters": sum(parameter.numel() for parameter in trainer.network.parameters()),
        "architecture": architecture,
    }


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"some of {', '.join(NETWORKS)} (all)")
    parser.add_argument("--batch-size", type=int, default=256, help="images a step (256)")
    parser.add_argument("--steps", type=int, default=8, help="timed steps of each repetition (8)")
    parser.add_argument("--repetitions", type=int, default=3, help="timed turns of each network (3)")
    parser.add_argument("--threads", type=int, default=1, help="cores (1)")
    parser.add_argument("--size", type=int, default=2048, help="rows of the matrices of the rate (2048)")
    parser.add_argument("--seconds", type=float, default=1.0, help="at least, of each measurement of the rate (1)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.networks if name not in NETWORKS]
    if unknown:
        parser.error(f"NETWORK: expected some of {', '.join(NETWORKS)}, found {', '.join(unknown)}")

    from certifuse.base.environment import environment_record
    from certifuse.models.compute import runtime as runtimes
    from certifuse.study.settings.evaluation import ExecutionSettings

    runtime = runtimes.start(ExecutionSettings(threads=arguments.threads))
    record = {
        "networks": {name: measure(NETWORKS[name], runtime, arguments) for name in arguments.networks or NETWORKS},
        "matrix_operations_per_second": matrix_rate(runtime, arguments.size, arguments.seconds),
        "batch_size": arguments.batch_size,
        "runtime": runtime.record(),
        "environment": environment_record(),
    }
    json.dump(record, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
