"""Accuracy and loss of a network that was put together from components."""

from pathlib import Path
from typing import Any

import torch

from certifuse.base.errors import UserError
from certifuse.cli.components.assembly import Assembly
from certifuse.data.images.image_set import ImageSet, load_image_set
from certifuse.data.images.splits import load_splits
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.device_images import official_test_on_device, on_device
from certifuse.models.compute.inference import accuracy_percent, fused_logits_of, nll_nats
from certifuse.models.images.fused_network import mean_log_probs
from certifuse.study.settings.evaluation import ExecutionSettings


def scores(assembly: Assembly, images_file: Path, splits_file: Path, split: str, threads: int) -> list[dict[str, Any]]:
    """Top-1 in percent and mean NLL in nats of each predictor, in fp32.

    Predictors are the fused network (where there is a fusion module), each expert, and the average of the experts'
    probabilities; `split` is `validation` or `test`, the official test images. Images are normalised as the pool.

    Raises:
        UserError: the images do not have the network's channels or classes.
    """
    images, splits = load_image_set(images_file), load_splits(splits_file)
    _check_images(assembly, images, images_file)
    runtime = runtimes.start(ExecutionSettings(threads=threads, precision="fp32", compile="off"))
    if split == "test":
        data = official_test_on_device(images, splits, runtime)
        indices = torch.arange(len(data.labels))
    else:
        data, indices = on_device(images, splits, runtime), splits.validation
    runtime.place(assembly.network)
    fused_NK, experts_ENK = fused_logits_of(assembly.network, data, indices, runtime)
    names = [f"expert_{index}" for index in range(len(experts_ENK))]
    predictors = dict(zip(names, experts_ENK, strict=True)) | {"probability_average": mean_log_probs(experts_ENK)}
    if assembly.fusion is not None:
        predictors = {"fused": fused_NK} | predictors
    logits_PNK, labels = torch.stack(list(predictors.values())), data.labels.cpu()[indices]
    top1_P, nll_P = accuracy_percent(logits_PNK, labels), nll_nats(logits_PNK, labels)
    return [
        {"predictor": name, "top1_percent": float(top1), "nll_nats": float(nll), "images": len(labels)}
        for name, top1, nll in zip(predictors, top1_P, nll_P, strict=True)
    ]


def _check_images(assembly: Assembly, images: ImageSet, images_file: Path) -> None:
    expert = assembly.parts["expert_0"]
    expected = (expert.spec["in_channels"], expert.spec["num_classes"])
    found = (images.train_images.shape[1], images.num_classes)
    if expected != found:
        raise UserError(
            f"{images_file}: expected images of (channels, classes) {expected} as in {expert.path}, found {found}: "
            "name the images that the components were trained on"
        )
