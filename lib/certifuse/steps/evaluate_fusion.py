"""Score one cell from its saved components: the fused network, its experts and what they give together.

Reads images, splits and the components of the cell; writes metrics, per-class scores, calibration bins, the prediction
for every test image, and a manifest. One pass over the test and validation images: seconds to minutes.
"""

import torch
from torch import Tensor

from certifuse.base.manifest import StepRecord
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import load_splits
from certifuse.evaluation.images import combination
from certifuse.evaluation.images.scores import forward_costs
from certifuse.models.components.assembly import find_components, load_network
from certifuse.models.components.belonging import check_belonging
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.inference import fused_logits_of
from certifuse.reporting.predictors import TWO_VIEWS
from certifuse.steps.score_sheet import Parts, empty_sheet, image_parts, log_probs_of, over_both_views
from certifuse.study.steps.training import EvaluateFusion


def evaluate_fusion(step: EvaluateFusion, files: EvaluateFusion.Files) -> None:
    """Write the scores of the cell whose components are in a directory."""
    runtime = runtimes.start(step.execution, training=False)
    found = find_components(files.components)
    components = [path for path in (*found.experts, found.fusion, found.global_head) if path is not None]
    record = StepRecord(step, files.source, [files.images, files.splits, *components])
    images, splits = load_image_set(files.images), load_splits(files.splits)
    data = {"images_sha256": record.digests[files.images], "splits_sha256": record.digests[files.splits]}
    check_belonging(components, step.cell.names() | data, images)
    parts = image_parts(images, splits, runtime)
    network = load_network(found.experts, found.fusion, found.global_head)
    image_shape = images.train_images.shape[1:]
    sheet = empty_sheet(step.cell.names(), step.evaluation, parts, images)
    costs = forward_costs(network, image_shape)
    for predictor in ("fused", "fused_plus_experts"):
        sheet.add(predictor, costs)
    sheet.add_expert_costs("after", network, image_shape)
    runtime.place(network)

    def all_logits(mirrored: bool = False) -> Parts[Tensor]:
        """Logits (1 + E, N, K) of the fused network and of its experts."""
        size = step.evaluation.batch_size
        pairs = parts.scored().map(lambda part: fused_logits_of(network, *part, runtime, size, mirrored))
        return pairs.map(lambda pair: torch.cat([pair[0][None], pair[1]]))

    logits = all_logits()
    together = logits.map(lambda part: combination.probability_average(log_probs_of(part)))
    sheet.add_network("fused", logits.test[0], logits.validation[0])
    sheet.add_soft("fused_plus_experts", together.test, together.validation)
    sheet.add_experts("after", logits.map(lambda part: part[1:]))
    if step.evaluation.two_views:
        both = over_both_views(logits, all_logits(mirrored=True))
        sheet.add_network(f"fused_{TWO_VIEWS}", both.test[0], both.validation[0])
        sheet.add_experts_of_two_views("after", both.map(lambda part: part[1:]))
    sheet.write(files.output, runtime, record)
