"""Score predictors on the test images: the part that cells and baselines share.

Temperature is fitted on the validation images; the test images are only scored. Stacking is fitted on the fusion
images with a penalty that the validation images choose, and only for experts that have not trained on the fusion
images: what they say of their own training images is overconfident, and a stacking fitted on it would be a straw man.
Shapes: E experts, N images, K classes.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from certifuse.base.manifest import StepRecord, label
from certifuse.base.rows import write_rows
from certifuse.data.images.image_set import ImageSet
from certifuse.data.images.splits import Splits
from certifuse.evaluation.images import calibration, combination, diversity, scores
from certifuse.evaluation.images.predictions import save_predictions
from certifuse.evaluation.images.scores import forward_costs
from certifuse.models.compute.device_images import DeviceImages, official_test_on_device, on_device
from certifuse.models.compute.runtime import Runtime
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.reporting.predictors import TWO_VIEWS
from certifuse.study import paths
from certifuse.study.settings.evaluation import EvaluationSettings
from certifuse.study.settings.superclasses import superclass_of_class
from certifuse.training.loop.record import peak_memory_bytes

log = logging.getLogger(__name__)


Part = TypeVar("Part")
Other = TypeVar("Other")
Images = tuple[DeviceImages, Tensor]
"""Images on the device, and the indices of those that are meant."""


class Parts(NamedTuple, Generic[Part]):
    """The same of the test, the validation and the fusion images; the last is None where it may not be looked at."""

    test: Part
    validation: Part
    fusion: Part | None = None

    def scored(self) -> "Parts[Part]":
        """Without the fusion images: those on which every predictor is run."""
        return self._replace(fusion=None)

    def map(self, of: Callable[[Part], Other]) -> "Parts[Other]":
        """What a function gives for each of them."""
        return Parts(of(self.test), of(self.validation), None if self.fusion is None else of(self.fusion))


def image_parts(images: ImageSet, splits: Splits, runtime: Runtime) -> Parts[Images]:
    """The official test images, and the validation and fusion images."""
    training, test = on_device(images, splits, runtime), official_test_on_device(images, splits, runtime)
    device = runtime.device
    return Parts(
        test=(test, torch.arange(len(test.labels), device=device)),
        validation=(training, splits.validation.to(device)),
        fusion=(training, splits.fusion.to(device)),
    )


def log_probs_of(logits: Tensor) -> Tensor:
    """Log-probabilities in double precision."""
    return functional.log_softmax(logits.double(), -1)


def over_both_views(logits: Parts[Tensor], mirrored: Parts[Tensor]) -> Parts[Tensor]:
    """Log-probabilities (..., N, K) over each test and validation image and its mirror image."""
    pairs = zip(logits[:2], mirrored[:2], strict=True)
    return Parts(*(combination.two_views(log_probs_of(one), log_probs_of(other)) for one, other in pairs))


def empty_sheet(
    identity: Mapping[str, Any], settings: EvaluationSettings, parts: Parts[Images], images: ImageSet
) -> "ScoreSheet":
    """A sheet for predictors of these images."""
    name = settings.superclasses
    grouping = None if name is None else superclass_of_class(name, images.num_classes)
    labels = parts.map(lambda part: part[0].labels[part[1]].cpu())
    return ScoreSheet(identity, settings, labels, grouping)


@dataclass
class ScoreSheet:
    """Everything that is written about the predictors of one cell or family."""

    identity: Mapping[str, Any]
    settings: EvaluationSettings
    labels: Parts[Tensor]
    superclass_of_class: Sequence[int] | None = None
    metrics: list[dict[str, Any]] = field(default_factory=list)
    per_class: list[dict[str, Any]] = field(default_factory=list)
    calibration: list[dict[str, Any]] = field(default_factory=list)
    predictions: dict[str, Tensor] = field(default_factory=dict)

    def add(self, predictor: str, metrics: Mapping[str, float]) -> None:
        """One row per metric."""
        rows = ({"predictor": predictor, "metric": metric, "value": value} for metric, value in metrics.items())
        self.metrics.extend({**self.identity, **row} for row in rows)

    def add_hard(self, predictor: str, predicted_N: Tensor) -> None:
        """A predictor that names a class and gives no probabilities."""
        correct_N = predicted_N == self.labels.test
        self.add(predictor, {"top1_percent": 100 * float(correct_N.double().mean())})
        self._add_superclasses(predictor, predicted_N)
        self.predictions[f"{predictor}/predicted"] = predicted_N.to(torch.int16)

    def add_network(self, predictor: str, test_NK: Tensor, validation_NK: Tensor) -> tuple[Tensor, Tensor]:
        """A predictor with logits of its own: they are kept in single precision, and scored as they are kept.

        Returns its log-probabilities on both parts, in double precision.
        """
        kept = {"logits": test_NK.float(), "validation_logits": validation_NK.float()}
        self.predictions |= {f"{predictor}/{name}": logits_NK for name, logits_NK in kept.items()}
        log_probs_NK, validation_log_probs_NK = (log_probs_of(logits_NK) for logits_NK in kept.values())
        self.add_soft(predictor, log_probs_NK, validation_log_probs_NK)
        return log_probs_NK, validation_log_probs_NK

    def add_soft(self, predictor: str, test_NK: Tensor, validation_NK: Tensor) -> None:
        """A predictor with log-probabilities that follow from others': scores as they are, and after temperature."""
        labels_N = self.labels.test
        temperature = calibration.fit_temperature(validation_NK, self.labels.validation)
        cooled_NK = calibration.apply_temperature(test_NK, temperature)
        before, after = (
            scores.score_table(log_probs_NK, labels_N, self.settings.calibration_bins)
            for log_probs_NK in (test_NK, cooled_NK)
        )
        self.add(predictor, before)
        self._add_superclasses(predictor, test_NK.argmax(-1))
        self.add(predictor, {"temperature": temperature})
        self.add(predictor, {f"{name}_calibrated": after[name] for name in ("nll_nats", "brier", "ece")})
        for calibrated, log_probs_NK in enumerate((test_NK, cooled_NK)):
            self._add_bins(predictor, calibrated, log_probs_NK)
        self._add_classes(predictor, test_NK)
        self.predictions[f"{predictor}/predicted"] = test_NK.argmax(-1).to(torch.int16)

    def add_experts(self, stage: str, logits: Parts[Tensor]) -> None:
        """The experts of one stage: each alone, every way to combine them, and how they differ.

        Args:
            stage: `before`, `after` or `finetuned`.
            logits: (E, N, K) each; those of the fusion images for experts that have not trained on them.
        """
        pairs = enumerate(zip(logits.test, logits.validation, strict=True))
        scored = [self.add_network(f"expert_{index}_{stage}", *pair) for index, pair in pairs]
        test_ENK, validation_ENK = (torch.stack(part) for part in zip(*scored, strict=True))
        averages = {
            "probability_average": combination.probability_average,
            "logit_average": combination.logit_average,
        }
        for name, combine in averages.items():
            self.add_soft(f"{name}_{stage}", combine(test_ENK), combine(validation_ENK))
        if logits.fusion is not None:
            self._add_stacking(stage, test_ENK, validation_ENK, log_probs_of(logits.fusion))
        self.add_hard(f"majority_vote_{stage}", combination.majority_vote(test_ENK))
        oracle_N = combination.oracle_correct(test_ENK, self.labels.test)
        self.add(f"oracle_{stage}", {"top1_percent": 100 * float(oracle_N.double().mean())})
        self.add(f"experts_{stage}", diversity.diversity_table(test_ENK, self.labels.test))

    def add_experts_of_two_views(self, stage: str, log_probs: Parts[Tensor]) -> None:
        """The experts of one stage and their average, by what they say (E, N, K) of an image and its mirror image."""
        pairs = enumerate(zip(log_probs.test, log_probs.validation, strict=True))
        scored = [self.add_network(f"expert_{index}_{stage}_{TWO_VIEWS}", *pair) for index, pair in pairs]
        averages = (combination.probability_average(torch.stack(part)) for part in zip(*scored, strict=True))
        self.add_soft(f"probability_average_{stage}_{TWO_VIEWS}", *averages)

    def add_expert_costs(self, stage: str, network: FusedNetwork, image_shape: Sequence[int]) -> None:
        """Add the cost of each expert of a network, and of their average: all of them."""
        each = [forward_costs(expert, image_shape) for expert in network.experts]
        for index, costs in enumerate(each):
            self.add(f"expert_{index}_{stage}", costs)
        self.add(f"probability_average_{stage}", {name: sum(costs[name] for costs in each) for name in each[0]})

    def write(self, directory: Path, runtime: Runtime, record: StepRecord | None = None) -> None:
        """Write metrics, per-class scores, calibration bins, per-example predictions, and the manifest of a step."""
        tables = {"metrics.csv": self.metrics, "per_class.csv": self.per_class, "calibration.csv": self.calibration}
        for name, rows in tables.items():
            write_rows(directory / name, rows)
        labels = {"labels": self.labels.test, "validation_labels": self.labels.validation}
        predictions = self.predictions | {name: label_N.to(torch.int16) for name, label_N in labels.items()}
        save_predictions(directory, predictions, self.identity)
        predictors = dict.fromkeys(row["predictor"] for row in self.metrics)
        count = len(self.labels.test)
        log.info("[%s] scored %d predictors on %d test images", label(self.identity), len(predictors), count)
        if record is not None:
            written = [directory / name for name in (*tables, paths.PREDICTIONS_FILE)]
            manifest, peak = directory / paths.MANIFEST_FILE, peak_memory_bytes(runtime)
            record.write(manifest, written, runtime=runtime.record(), peak_memory_bytes=peak)

    def _add_stacking(self, stage: str, test_ENK: Tensor, validation_ENK: Tensor, fusion_ENK: Tensor) -> None:
        labels_N = self.labels.fusion
        assert labels_N is not None, "the sheet has the labels of all images"
        fits = [(l2, combination.fit_stacking(fusion_ENK, labels_N, l2)) for l2 in self.settings.stacking_l2]
        losses = [scores.nll_nats(fit.log_probs(validation_ENK), self.labels.validation) for _, fit in fits]
        l2, best = fits[losses.index(min(losses))]
        self.add(f"stacking_{stage}", {"l2": l2, "fit_converged": int(best.converged)})
        self.add_network(f"stacking_{stage}", best.log_probs(test_ENK), best.log_probs(validation_ENK))

    def _add_superclasses(self, predictor: str, predicted_N: Tensor) -> None:
        if self.superclass_of_class is not None:
            accuracy = scores.superclass_accuracy(predicted_N, self.labels.test, self.superclass_of_class)
            self.add(predictor, {"superclass_top1_percent": 100 * accuracy})

    def _add_bins(self, predictor: str, calibrated: int, log_probs_NK: Tensor) -> None:
        bins = calibration.reliability_bins(log_probs_NK, self.labels.test, self.settings.calibration_bins)
        for number, count in enumerate(bins.count.tolist()):
            if count:
                confidence, accuracy = float(bins.mean_confidence[number]), float(bins.accuracy[number])
                row = {"bin": number, "count": int(count), "mean_confidence": confidence, "accuracy": accuracy}
                self.calibration.append({**self.identity, "predictor": predictor, "calibrated": calibrated, **row})

    def _add_classes(self, predictor: str, log_probs_NK: Tensor) -> None:
        accuracy_K, count_K = scores.per_class_accuracy(log_probs_NK, self.labels.test)
        for number, count in enumerate(count_K.tolist()):
            if count:
                superclass = "" if self.superclass_of_class is None else self.superclass_of_class[number]
                accuracy = float(accuracy_K[number])
                row = {"class": number, "superclass": superclass, "count": int(count), "accuracy": accuracy}
                self.per_class.append({**self.identity, "predictor": predictor, **row})
