"""Wall time to 75 % top-1 accuracy on the test images of CIFAR-100, as JSON on the standard output.

    python workflow/cifar_to_npz.py cifar100 data/cifar100.npz --download
    python benchmarks/time_to_accuracy.py data/cifar100.npz > time_to_accuracy.json

One network (by default speednet at full size) is trained on all training images, by the recipe of a configuration, for
a number of epochs that is fixed before it starts, once for each seed. No image of the test set is looked at before the
end, none is held out, and no epoch is chosen. `wall_s` runs from images that lie in memory as uint8 to trained weights:
the whitening is in it; imports, reading the file and the test are not. `top1_percent` is of one view; that of
`two_views`, the mean over an image and its mirror image, stands beside it and does not count for the target.

First a plain loop trains the same network for `--plain-steps` steps on the same cores in a process of its own: what one
writes first, with `Dataset`, `DataLoader` (two workers), torchvision transforms for each image, fp32, SGD with Nesterov
momentum and `.item()` at every step. `ratio` is ours to it in images per second, over our whole training.

Run it alone on the machine: on two cores of an EPYC with bf16 about a quarter of an hour for each seed.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LABEL_SMOOTHING = 0.2


def load_images(path: str) -> Any:
    """The images of an .npz file."""
    from certifuse.data.images.sources.npz import load
    from certifuse.study.settings.data import NpzData

    return load(NpzData(source="npz", path=path))


def recipe_of(configuration: str, epochs: int) -> Any:
    """The training of a speednet expert in a configuration, for another number of epochs."""
    import yaml  # type: ignore[import-untyped]

    from certifuse.base.records import overridden
    from certifuse.study.study import read_study

    study = read_study(yaml.safe_load(Path(configuration).read_text(encoding="utf-8")))
    return overridden(study.pretraining.resolved("speednet"), None, epochs=epochs, early_stopping_patience=None)


def fresh_network(images: Any, widths: list[int], seed: int) -> Any:
    """An untrained network that has seen which patches the training images consist of."""
    from certifuse.base.randomness import initialising
    from certifuse.data.images.image_set import channel_statistics
    from certifuse.models.components.assembly import build_expert, expert_spec

    architecture = {"name": "speednet", "widths": widths}
    with initialising(seed, "time_to_accuracy", "weights"):
        network = build_expert(expert_spec(architecture, images.num_classes, images.train_images.shape[1]))
    network.fit_to_pool(images.train_images, *channel_statistics(images.train_images))
    return network


# ---- ours ----------------------------------------------------------------------------------------


def train_ours(images: Any, training: Any, widths: list[int], runtime: Any, seed: int) -> dict[str, Any]:
    """One training and its test."""
    import torch

    from certifuse.data.images.image_set import channel_statistics
    from certifuse.models.compute.device_images import DeviceImages
    from certifuse.training.batch_norm import set_batch_norms
    from certifuse.training.epoch import EpochTrainer
    from certifuse.training.single import single_groups, single_objective

    began = time.perf_counter()
    network = fresh_network(images, widths, seed)
    set_batch_norms(network, training)
    runtime.place(network)
    statistics_of_pool = [torch.tensor(values) for values in channel_statistics(images.train_images)]

    def on_device(part: str) -> DeviceImages:
        tensors = getattr(images, f"{part}_images"), getattr(images, f"{part}_labels"), *statistics_of_pool
        return DeviceImages(*(tensor.to(runtime.device) for tensor in tensors), images.num_classes)

    trainer = EpochTrainer(
        network=network,
        objective=single_objective(training.label_smoothing),
        groups=single_groups(network, training, runtime.bf16),
        data=on_device("train"),
        indices=torch.arange(len(images.train_labels), device=runtime.device),
        batch_size=training.batch_size,
        augmentation=training.augmentation,
        runtime=runtime,
        seed=seed,
        recipe=training,
    )
    losses = [trainer.run(epoch)["total"] for epoch in range(training.epochs)]
    wall_s = time.perf_counter() - began
    visited = training.epochs * trainer.images_per_epoch
    return {
        "seed": seed,
        "wall_s": round(wall_s, 2),
        "images_per_second": round(visited / wall_s, 1),
        "last_train_loss": losses[-1],
        **test(trainer.average.network, on_device("test"), runtime),
    }


def test(network: Any, data: Any, runtime: Any) -> dict[str, float]:
    """Top-1 accuracy of one view and of two."""
    import torch
    from torch.nn import functional

    from certifuse.evaluation.images.combination import two_views
    from certifuse.models.compute.inference import accuracy_percent, outputs

    every = torch.arange(len(data.labels), device=runtime.device)
    views = [
        torch.cat([functional.log_softmax(logits.double(), -1) for _, logits in view])
        for view in (outputs(network, data, every, runtime, mirrored=mirrored) for mirrored in (False, True))
    ]
    both = torch.stack([views[0], two_views(*views)])
    one, two = accuracy_percent(both, data.labels).tolist()
    return {"top1_percent": one, "top1_percent_two_views": two}


# ---- the plain loop ------------------------------------------------------------------------------


def train_plain(path: str, widths: list[int], batch_size: int, threads: int, steps: int, pipe: Any) -> None:
    """Train for one step to warm up and for `steps` more; send their images per second."""
    import torch
    from PIL import Image
    from torch.nn import functional

    from certifuse.data.images.torchvision_import import import_torchvision_datasets

    import_torchvision_datasets()
    from torchvision import transforms

    torch.set_num_threads(threads)
    images = load_images(path)
    pixels_NHWC, labels = images.train_images.permute(0, 2, 3, 1).contiguous().numpy(), images.train_labels.tolist()
    transform = transforms.Compose(
        [
            transforms.RandomCrop(pixels_NHWC.shape[1], padding=2),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.507, 0.487, 0.441), (0.267, 0.256, 0.276)),
        ]
    )

    class ImageDataset(torch.utils.data.Dataset[tuple[Any, int]]):
        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            return transform(Image.fromarray(pixels_NHWC[index])), labels[index]

    loader: Any = torch.utils.data.DataLoader(
        ImageDataset(), batch_size, shuffle=True, drop_last=True, num_workers=2, multiprocessing_context="fork"
    )
    network = fresh_network(images, widths, 0).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    running_loss, began = 0.0, 0.0
    for step, (batch, targets) in enumerate(loader):
        if step == 1:
            began = time.perf_counter()
        optimiser.zero_grad()
        loss = functional.cross_entropy(network(batch).logits_NK, targets, label_smoothing=LABEL_SMOOTHING)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        running_loss += loss.item()
        if step == steps:
            break
    else:
        raise SystemExit(f"--plain-steps: expected fewer than {len(loader)}, as many batches as there are")
    pipe.send(steps * batch_size / (time.perf_counter() - began))


def measure_plain(path: str, widths: list[int], batch_size: int, threads: int, steps: int) -> float:
    """Images per second of the plain loop."""
    context = multiprocessing.get_context("spawn")
    pipe, end = context.Pipe()
    process = context.Process(target=train_plain, args=(path, widths, batch_size, threads, steps, end))
    process.start()
    end.close()  # a process that fails then ends the benchmark instead of leaving it waiting
    rate: float = pipe.recv()
    process.join()
    return rate


# ---- both ----------------------------------------------------------------------------------------


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", help="CIFAR-100 as .npz")
    parser.add_argument("--config", default=str(ROOT / "config" / "cifar100_evening.yaml"), help="holds the recipe")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256, 512], help="of speednet (64 256 512)")
    parser.add_argument("--epochs", type=int, default=9, help="fixed for all seeds (9)")
    parser.add_argument("--seeds", type=int, default=5, help="how many trainings (5)")
    parser.add_argument("--threads", type=int, default=2, help="cores (2)")
    parser.add_argument("--plain-steps", type=int, default=20, help="timed steps of the plain loop (20)")
    parser.add_argument("--target", type=float, default=75.0, help="percent, for the mean of the seeds (75)")
    arguments = parser.parse_args()

    training = recipe_of(arguments.config, arguments.epochs)
    size = training.batch_size
    plain = measure_plain(arguments.images, arguments.widths, size, arguments.threads, arguments.plain_steps)

    from certifuse.base.environment import environment_record
    from certifuse.models.compute import runtime as runtimes
    from certifuse.study.settings.evaluation import ExecutionSettings

    runtime, images = runtimes.start(ExecutionSettings(threads=arguments.threads)), load_images(arguments.images)
    runs = []
    for seed in range(arguments.seeds):
        runs.append(train_ours(images, training, arguments.widths, runtime, seed))
        print(runs[-1], file=sys.stderr, flush=True)
    mean = {name: statistics.fmean(run[name] for run in runs) for name in runs[0] if name != "seed"}
    record = {
        "reached": mean["top1_percent"] >= arguments.target,
        "target_percent": arguments.target,
        "mean": mean,
        "ratio": round(mean["images_per_second"] / plain, 2),
        "plain": {"images_per_second": round(plain, 1), "steps": arguments.plain_steps, "precision": "fp32"},
        "runs": runs,
        "widths": arguments.widths,
        "training": training.plain(),
        "runtime": runtime.record(),
        "images_sha256": images.digest,
        "environment": environment_record(),
    }
    json.dump(record, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
