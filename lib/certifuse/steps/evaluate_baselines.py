"""Score what fusion is measured against: the experts before and after fine-tuning, combined, and single models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional

from certifuse.base.manifest import StepRecord
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import load_splits
from certifuse.evaluation.images.scores import forward_costs
from certifuse.models.components.assembly import load_network
from certifuse.models.components.belonging import check_belonging
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.device_images import DeviceImages
from certifuse.models.compute.inference import fused_logits_of
from certifuse.models.compute.runtime import Runtime
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.steps.score_sheet import ExpertLogits, empty_sheet, image_parts
from certifuse.study.cells import BASELINE
from certifuse.study.steps import EvaluationStep


def evaluate_baselines(
    settings: EvaluationStep,
    family: Mapping[str, Any],
    stages: Mapping[str, Sequence[Path]],
    singles: Mapping[str, Sequence[Path]],
    images_file: Path,
    splits_file: Path,
    output: Path,
) -> None:
    """Write the scores of the stages `before` and `finetuned` (all experts each) and of single models (a file each)."""
    runtime = runtimes.start(settings.execution, training=False)
    files = [path for paths in (*stages.values(), *singles.values()) for path in paths]
    record = StepRecord("evaluate_baselines", settings, [images_file, splits_file, *files])
    images, splits = load_image_set(images_file), load_splits(splits_file)
    data = {"images_sha256": record.digests[images_file], "splits_sha256": record.digests[splits_file]}
    check_belonging(files, {**family, **data}, images)
    parts = image_parts(images, splits, runtime)
    identity = {"architecture": family["architecture"], "fusion": BASELINE, "lambda": "", "seed": family["seed"]}
    sheet = empty_sheet(identity, settings.evaluation, parts, images)
    image_shape = images.train_images.shape[1:]
    for stage, experts in stages.items():
        if experts:
            network, unseen = load_network(experts, None, None), {"fusion": parts.fusion} if stage == "before" else {}
            sheet.add_expert_costs(stage, network, image_shape)
            sheet.add_experts(stage, _expert_logits(settings, network, parts.scored() | unseen, runtime))
    for predictor, single in singles.items():
        if single:
            network = load_network(single, None, None)
            sheet.add(predictor, forward_costs(network, image_shape))
            logits = _expert_logits(settings, network, parts.scored(), runtime)
            log_probs = (functional.log_softmax(part[0].double(), -1) for part in (logits.test, logits.validation))
            sheet.add_soft(predictor, *log_probs)
    sheet.write(output, runtime, record)


def _expert_logits(
    settings: EvaluationStep, network: FusedNetwork, parts: Mapping[str, tuple[DeviceImages, Tensor]], runtime: Runtime
) -> ExpertLogits:
    runtime.place(network)
    batch_size = settings.evaluation.batch_size
    return ExpertLogits(
        **{name: fused_logits_of(network, *part, runtime, batch_size)[1] for name, part in parts.items()}
    )
