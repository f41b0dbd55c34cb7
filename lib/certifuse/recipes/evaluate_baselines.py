"""Score what fusion is measured against: the experts before and after fine-tuning, combined, and the single model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional

from certifuse.belonging import check_belonging
from certifuse.components import load_network
from certifuse.data.image_set import load_image_set
from certifuse.data.splits import load_splits
from certifuse.manifests import StepRecord
from certifuse.recipes.evaluate import EvaluationStep, ExpertLogits, ScoreSheet, image_parts
from certifuse.training import runtime as runtimes
from certifuse.training.epoch import DeviceImages
from certifuse.training.inference import fused_logits_of
from certifuse.training.runtime import Runtime

BASELINE = "baseline"


def evaluate_baselines(
    settings: EvaluationStep,
    family: Mapping[str, Any],
    components: Mapping[str, Sequence[Path]],
    images_file: Path,
    splits_file: Path,
    output: Path,
) -> None:
    """Write the scores of the stages `before` and `finetuned` (expert files each) and of `single` (one file)."""
    runtime = runtimes.start(settings.execution, training=False)
    files = [path for paths in components.values() for path in paths]
    record = StepRecord("evaluate_baselines", settings, [images_file, splits_file, *files])
    images, splits = load_image_set(images_file), load_splits(splits_file)
    data = {"images_sha256": record.digests[images_file], "splits_sha256": record.digests[splits_file]}
    check_belonging(files, {**family, **data}, images)
    parts = image_parts(images, splits, runtime)
    identity = {"architecture": family["architecture"], "fusion": BASELINE, "lambda": "", "seed": family["seed"]}
    sheet = ScoreSheet(identity, settings.evaluation, parts.labels())
    for stage in ("before", "finetuned"):
        if components[stage]:
            unseen = {"fusion": parts.fusion} if stage == "before" else {}
            sheet.add_experts(stage, _expert_logits(settings, components[stage], parts.scored() | unseen, runtime))
    if components["single"]:
        single = _expert_logits(settings, components["single"], parts.scored(), runtime)
        log_probs = [functional.log_softmax(part[0].double(), -1) for part in (single.test, single.validation)]
        sheet.add_soft("single", *log_probs)
    sheet.write(output, runtime, record)


def _expert_logits(
    settings: EvaluationStep, files: Sequence[Path], parts: Mapping[str, tuple[DeviceImages, Tensor]], runtime: Runtime
) -> ExpertLogits:
    network = load_network(files, None, None)
    runtime.place(network)
    batch_size = settings.evaluation.batch_size
    return ExpertLogits(
        **{name: fused_logits_of(network, *part, runtime, batch_size)[1] for name, part in parts.items()}
    )
