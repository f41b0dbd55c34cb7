"""Images per second of our fused training step against a plain PyTorch loop, as JSON on the standard output.

    python benchmarks/fusion_training.py --threads 2 > fusion_training.json

Both train the same network (four thin experts, by default ResNet-8 of width 16; concatenation; 100 classes) on the
same 32 x 32 uint8 images in batches of 64 with the same loss, optimiser, clipping and augmentation (crop and flip).
Ours is `EpochTrainer` under the library's automatic choices, and once more with `execution.compile: "on"`. The plain
loop is what one writes first: `Dataset`, `DataLoader` (0 or 2 workers, whichever is faster), torchvision transforms per
image, fp32, `.item()` at every step.

Each side is measured on the same cores in two arrangements: one training with `--threads` threads, and as many
trainings of one thread each at the same time, which is how the workflow uses a machine (`execution.threads: 1`,
`snakemake -j 2`). `ratio` is like for like: one training each, with the same threads. `throughput_ratio` is the better
arrangement of ours against the better one of the plain loop. `compiled_` stands for the compiled step.

Every training lives in a process of its own, so that no setting of the library helps or hurts another. The arrangements
take turns, all others waiting while one is timed; the first turn warms up and compiles, and medians over the others are
compared. Quote the ratios: absolute rates depend on what else the machine does. About six minutes on two cores.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal

BATCH_SIZE, CLASSES, EXPERTS, IMAGES, SIZE = 64, 100, 4, 8192, 32
LAMBDA, LABEL_SMOOTHING, WEIGHT_DECAY = 1.0, 0.1, 1e-4
EXPERT_LR, FUSION_LR, EXPERT_CLIP, FUSION_CLIP = 1e-4, 1e-3, 5.0, 1.0
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "resnet": {"width": 16, "blocks": [1, 1, 1]},
    "densenet": {"growth": 8, "blocks": [2, 2, 2], "bottleneck": 2, "dropout": 0.0},
    "improved_wide_resnet": {"depth": 10, "widen_factor": 1, "dropout": 0.0},
    "resnext": {"blocks": [1, 1, 1], "cardinality": 4, "base_width": 4, "width": 16, "expansion": 2, "dropout": 0.0},
}
"""The sizes of `config/cifar100_small.yaml`."""

COMPILE: dict[str, Literal["auto", "on"]] = {"ours": "auto", "compiled": "on"}
"""`execution.compile` of the sides that are ours."""
SIDES = (*COMPILE, "plain")

Train = Callable[[int], None]
"""Train for a number of steps."""


def synthetic_images() -> tuple[Any, Any]:
    """uint8 images (N, C, H, W) and labels (N,): the speed of training does not depend on what they show."""
    import torch

    generator = torch.Generator().manual_seed(0)
    images_NCHW = torch.randint(256, (IMAGES, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    return images_NCHW, torch.randint(CLASSES, (IMAGES,), generator=generator)


def fresh_network(architecture: str) -> Any:
    """Four experts, concatenation and a global head; the same weights on both sides."""
    import torch

    from certifuse.models.images.architectures.registry import build_architecture
    from certifuse.models.images.fused_network import FusedNetwork
    from certifuse.models.images.fusion.registry import build_fusion
    from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
    from certifuse.study.settings.fusion import FusionModuleSettings

    torch.manual_seed(0)
    settings = ARCHITECTURE_SETTINGS[architecture].from_json(json.dumps(ARCHITECTURES[architecture]))
    experts = [build_architecture(architecture, settings, CLASSES) for _ in range(EXPERTS)]
    fusion = build_fusion("concatenation", EXPERTS, experts[0].feature_dim, FusionModuleSettings())
    return FusedNetwork(experts, fusion, CLASSES)


def prepare_ours(architecture: str, threads: int, compile_: Literal["auto", "on"]) -> tuple[Train, dict[str, Any]]:
    """The library: images resident on the device, batched augmentation, automatic precision and layout."""
    import torch

    from certifuse.data.images.image_set import ImageSet
    from certifuse.data.images.splits import make_splits
    from certifuse.models.compute import runtime as runtimes
    from certifuse.models.compute.device_images import on_device
    from certifuse.study.settings.augmentation import AUGMENTATIONS
    from certifuse.study.settings.data import SplitSettings
    from certifuse.study.settings.evaluation import ExecutionSettings
    from certifuse.study.settings.fusion import FusionTraining
    from certifuse.training.epoch import EpochTrainer
    from certifuse.training.joint import dual_path_objective, parameter_groups

    runtime = runtimes.start(ExecutionSettings(threads=threads, compile=compile_))
    training = FusionTraining(
        epochs=1,
        batch_size=BATCH_SIZE,
        expert_lr=EXPERT_LR,
        fusion_lr=FUSION_LR,
        dimension_adaptive_lr=False,
        expert_schedule="constant",
        fusion_schedule="constant",
        weight_decay=WEIGHT_DECAY,
        expert_accumulation_steps=1,
        expert_clip_norm=EXPERT_CLIP,
        fusion_clip_norm=FUSION_CLIP,
        label_smoothing=LABEL_SMOOTHING,
        distillation_weight=0.0,
        augmentation=AUGMENTATIONS["standard"],
    )
    images_NCHW, labels_N = synthetic_images()
    images = ImageSet(images_NCHW, labels_N, images_NCHW[:1], labels_N[:1], CLASSES, "synthetic")
    network = fresh_network(architecture)
    runtime.place(network)
    trainer = EpochTrainer(
        network=network,
        objective=dual_path_objective(LAMBDA, training),
        groups=parameter_groups(network, training),
        data=on_device(images, make_splits(images, SplitSettings()), runtime),
        indices=torch.arange(IMAGES),
        batch_size=BATCH_SIZE,
        augmentation=AUGMENTATIONS["standard"],
        runtime=runtime,
        seed=0,
    )
    epochs = iter(range(sys.maxsize))

    def train(steps: int) -> None:
        trainer.indices = torch.arange(steps * BATCH_SIZE)
        trainer.run(next(epochs))

    return train, runtime.record()


def prepare_plain(architecture: str, threads: int, workers: int) -> tuple[Train, dict[str, Any]]:
    """The loop that one writes first."""
    import torch
    from PIL import Image
    from torch.nn import functional

    from certifuse.data.images.torchvision_import import import_torchvision_datasets

    import_torchvision_datasets()
    from torchvision import transforms

    torch.set_num_threads(threads)

    class ImageDataset(torch.utils.data.Dataset[tuple[Any, int]]):
        def __init__(self) -> None:
            images_NCHW, labels_N = synthetic_images()
            self.images, self.labels = images_NCHW.permute(0, 2, 3, 1).contiguous().numpy(), labels_N.tolist()
            self.transform = transforms.Compose(
                [
                    transforms.RandomCrop(SIZE, padding=4),
                    transforms.RandomHorizontalFlip(),
                    transforms.ToTensor(),
                    transforms.Normalize((0.5, 0.5, 0.5), (0.29, 0.29, 0.29)),
                ]
            )

        def __len__(self) -> int:
            return len(self.images)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            return self.transform(Image.fromarray(self.images[index])), self.labels[index]

    loader: Any = torch.utils.data.DataLoader(
        ImageDataset(),
        BATCH_SIZE,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )
    network = fresh_network(architecture).train()
    fused_parameters = [*network.fusion.parameters(), *network.global_head.parameters()]
    expert_optimiser = torch.optim.AdamW(network.experts.parameters(), lr=EXPERT_LR, weight_decay=WEIGHT_DECAY)
    fusion_optimiser = torch.optim.AdamW(fused_parameters, lr=FUSION_LR, weight_decay=WEIGHT_DECAY)

    def batches() -> Any:
        while True:
            yield from loader

    stream = batches()

    def train(steps: int) -> None:
        running_loss, correct = 0.0, 0
        for _ in range(steps):
            images, labels = next(stream)
            expert_optimiser.zero_grad()
            fusion_optimiser.zero_grad()
            features: list[torch.Tensor] = []
            loss = torch.zeros(())
            for expert in network.experts:
                feature, logits = expert(images)
                features.append(feature)
                loss = loss + LAMBDA * functional.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING)
            global_logits = network.global_head(network.fusion(torch.stack(features)))
            loss = loss + functional.cross_entropy(global_logits, labels, label_smoothing=LABEL_SMOOTHING)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.experts.parameters(), EXPERT_CLIP)
            torch.nn.utils.clip_grad_norm_(fused_parameters, FUSION_CLIP)
            expert_optimiser.step()
            fusion_optimiser.step()
            running_loss += loss.item()
            correct += (global_logits.argmax(1) == labels).sum().item()

    return train, {"precision": "fp32", "threads": threads, "workers": workers}


@dataclass
class Arrangement:
    """Trainings of one side that run at the same time, and what was seen of them."""

    side: str
    processes: int
    threads: int
    workers: int = 0
    pipes: list[Connection] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    images_per_second: list[float] = field(default_factory=list)

    def start(self, architecture: str) -> None:
        """One process a training. It returns once all have been set up."""
        context = multiprocessing.get_context("spawn")
        for _ in range(self.processes):
            pipe, end = context.Pipe()
            context.Process(target=serve, args=(self.side, architecture, self.threads, self.workers, end)).start()
            end.close()  # a process that fails then ends the benchmark instead of leaving it waiting
            self.pipes.append(pipe)
        self.settings, *_ = [pipe.recv() for pipe in self.pipes]

    def turn(self, steps: int) -> float:
        """All processes train for so many steps: images per second of all together, until the last one is done."""
        time.sleep(0.5)  # until the workers of other arrangements have filled their queues
        began = time.perf_counter()
        for pipe in self.pipes:
            pipe.send(steps)
        for pipe in self.pipes:
            pipe.recv()
        return self.processes * steps * BATCH_SIZE / (time.perf_counter() - began)

    def stop(self) -> None:
        """Tell all processes to end."""
        for pipe in self.pipes:
            pipe.send(0)

    @property
    def median(self) -> float:
        """Images per second."""
        return statistics.median(self.images_per_second)

    def record(self) -> dict[str, Any]:
        """What was seen."""
        return {
            "processes": self.processes,
            "settings_of_each": self.settings,
            "images_per_second": self.images_per_second,
            "median_images_per_second": self.median,
        }


def serve(side: str, architecture: str, threads: int, workers: int, pipe: Connection) -> None:
    """One training in its own process: say what runs, then train whenever told to, until told zero steps."""
    if side in COMPILE:
        train, about = prepare_ours(architecture, threads, COMPILE[side])
    else:
        train, about = prepare_plain(architecture, threads, workers)
    pipe.send(about)
    while steps := pipe.recv():
        train(steps)
        pipe.send(None)


def arrangements(cores: int) -> dict[str, Arrangement]:
    """One training with all cores, and one training a core. Workers would only take the cores from the latter."""
    measured = {side: Arrangement(side, processes=1, threads=cores) for side in SIDES}
    measured["plain_2_workers"] = Arrangement("plain", processes=1, threads=cores, workers=2)
    return measured | {f"{side}_one_training_a_core": Arrangement(side, processes=cores, threads=1) for side in SIDES}


def take_turns(measured: dict[str, Arrangement], architecture: str, steps: int, repetitions: int) -> None:
    """Fill `images_per_second` of every arrangement, one value a repetition."""
    for arrangement in measured.values():
        arrangement.start(architecture)
    for repetition in range(repetitions + 1):
        for arrangement in measured.values():
            rate = arrangement.turn(steps)
            if repetition > 0:  # the first turn warms up
                arrangement.images_per_second.append(round(rate, 1))
    for arrangement in measured.values():
        arrangement.stop()


def ratios(measured: dict[str, Arrangement]) -> dict[str, float]:
    """`ratio`, like for like, and `throughput_ratio`, best against best, of the step as it is and compiled."""

    def best(side: str, most_processes: int) -> float:
        return max(own.median for own in measured.values() if own.side == side and own.processes <= most_processes)

    most = max(own.processes for own in measured.values())
    return {
        f"{prefix}{name}": round(best(side, processes) / best("plain", processes), 2)
        for side, prefix in (("ours", ""), ("compiled", "compiled_"))
        for name, processes in (("ratio", 1), ("throughput_ratio", most))
    }


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="resnet", help="of the experts (resnet)")
    parser.add_argument("--steps", type=int, default=40, help="steps of each timed turn, at most 128 (40)")
    parser.add_argument("--threads", type=int, default=2, help="cores that each arrangement uses (2)")
    parser.add_argument("--repetitions", type=int, default=5, help="timed turns of each arrangement (5)")
    arguments = parser.parse_args()
    if not 1 <= arguments.steps <= IMAGES // BATCH_SIZE:
        parser.error(f"--steps: expected 1 to {IMAGES // BATCH_SIZE}, found {arguments.steps}")

    from certifuse.base.environment import environment_record

    measured = arrangements(arguments.threads)
    take_turns(measured, arguments.architecture, arguments.steps, arguments.repetitions)
    record = {
        **ratios(measured),
        "architecture": {"name": arguments.architecture, **ARCHITECTURES[arguments.architecture]},
        "threads": arguments.threads,
        "batch_size": BATCH_SIZE,
        "steps": arguments.steps,
        "arrangements": {name: arrangement.record() for name, arrangement in measured.items()},
        "environment": environment_record(),
    }
    json.dump(record, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
