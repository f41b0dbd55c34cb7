"""Score what fusion is measured against: the experts before and after fine-tuning, combined, and single models.

Reads images, splits and components; writes metrics, per-class scores, calibration bins, the prediction for every test
image, and a manifest. A pass over the test and validation images for each network, and the fits of stacking: seconds to
minutes.
"""

from torch import Tensor

from certifuse.base.manifest import StepRecord
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import load_splits
from certifuse.evaluation.images.scores import forward_costs
from certifuse.models.components.assembly import load_network
from certifuse.models.components.belonging import check_belonging
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.inference import fused_logits_of
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.reporting.predictors import TWO_VIEWS
from certifuse.steps.score_sheet import Images, Parts, empty_sheet, image_parts, over_both_views
from certifuse.study.cells import BASELINE, SINGLE, WIDER
from certifuse.study.steps.training import EvaluateBaselines


def evaluate_baselines(step: EvaluateBaselines, files: EvaluateBaselines.Files) -> None:
    """Write the scores of the experts of both stages, alone and combined, and of the single models."""
    stages = {"before": files.experts, "finetuned": files.finetuned}
    singles = {SINGLE: files.single, WIDER: files.wider}
    components = [path for paths in (*stages.values(), *singles.values()) for path in paths]
    runtime = runtimes.start(step.execution, training=False)
    record = StepRecord(step, files.source, [files.images, files.splits, *components])
    images, splits = load_image_set(files.images), load_splits(files.splits)
    data = {"images_sha256": record.digests[files.images], "splits_sha256": record.digests[files.splits]}
    check_belonging(components, {**step.cell.names(), **data}, images)
    parts = image_parts(images, splits, runtime)
    identity = {"architecture": step.cell.architecture, "fusion": BASELINE, "lambda": "", "seed": step.cell.seed}
    sheet = empty_sheet(identity, step.evaluation, parts, images)
    image_shape = images.train_images.shape[1:]

    def expert_logits(network: FusedNetwork, seen: Parts[Images], mirrored: bool = False) -> Parts[Tensor]:
        runtime.place(network)
        size = step.evaluation.batch_size
        return seen.map(lambda part: fused_logits_of(network, *part, runtime, size, mirrored)[1])

    for stage, experts in stages.items():
        if experts:
            network = load_network(experts, None, None)
            sheet.add_expert_costs(stage, network, image_shape)
            logits = expert_logits(network, parts if stage == "before" else parts.scored())
            sheet.add_experts(stage, logits)
            if step.evaluation.two_views:
                mirrored = expert_logits(network, parts.scored(), mirrored=True)
                sheet.add_experts_of_two_views(stage, over_both_views(logits, mirrored))
    for predictor, single in singles.items():
        if single:
            network = load_network(single, None, None)
            sheet.add(predictor, forward_costs(network, image_shape))
            logits = expert_logits(network, parts.scored())
            sheet.add_network(predictor, logits.test[0], logits.validation[0])
            if step.evaluation.two_views:
                both = over_both_views(logits, expert_logits(network, parts.scored(), mirrored=True))
                sheet.add_network(f"{predictor}_{TWO_VIEWS}", both.test[0], both.validation[0])
    sheet.write(files.output, runtime, record)
