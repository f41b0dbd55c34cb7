"""Score one cell from its saved components: the fused network, its experts and what they give together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from certifuse.base.manifest import StepRecord
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import load_splits
from certifuse.evaluation.images import combination
from certifuse.evaluation.images.scores import forward_costs
from certifuse.models.components.assembly import find_components, load_network
from certifuse.models.components.belonging import check_belonging
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.inference import fused_logits_of
from certifuse.steps.score_sheet import ExpertLogits, empty_sheet, image_parts
from certifuse.study.steps import EvaluationStep


def evaluate_fusion(
    settings: EvaluationStep,
    identity: Mapping[str, Any],
    components: Path,
    images_file: Path,
    splits_file: Path,
    output: Path,
) -> None:
    """Write the scores of the cell whose components are in a directory."""
    runtime = runtimes.start(settings.execution, training=False)
    found = find_components(components)
    files = [path for path in (*found.experts, found.fusion, found.global_head) if path is not None]
    record = StepRecord("evaluate_fusion", settings, [images_file, splits_file, *files])
    images, splits = load_image_set(images_file), load_splits(splits_file)
    data = {"images_sha256": record.digests[images_file], "splits_sha256": record.digests[splits_file]}
    run = {"lam" if name == "lambda" else name: value for name, value in identity.items()}
    check_belonging(files, run | data, images)
    parts = image_parts(images, splits, runtime)
    network = load_network(found.experts, found.fusion, found.global_head)
    image_shape = images.train_images.shape[1:]
    sheet = empty_sheet(identity, settings.evaluation, parts, images)
    costs = forward_costs(network, image_shape)
    for predictor in ("fused", "fused_plus_experts"):
        sheet.add(predictor, costs)
    sheet.add_expert_costs("after", network, image_shape)
    runtime.place(network)

    batch_size = settings.evaluation.batch_size
    logits = {name: fused_logits_of(network, *part, runtime, batch_size) for name, part in parts.scored().items()}
    fused = {name: functional.log_softmax(pair[0].double(), -1) for name, pair in logits.items()}
    experts = {name: functional.log_softmax(pair[1].double(), -1) for name, pair in logits.items()}
    together = {
        name: combination.probability_average(torch.cat([fused[name][None], experts[name]]))
        for name in ("test", "validation")
    }
    sheet.add_soft("fused", fused["test"], fused["validation"])
    sheet.add_soft("fused_plus_experts", together["test"], together["validation"])
    sheet.add_experts("after", ExpertLogits(**{name: pair[1] for name, pair in logits.items()}))
    sheet.write(output, runtime, record)
