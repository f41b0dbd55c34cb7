"""Every score of one cell or family again, from its stored predictions alone, by NumPy, SciPy and scikit-learn.

Shapes: E experts, N images, K classes.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax
from sklearn import metrics

BINS = 15
NOT_OF_PREDICTIONS = ("parameters", "forward_flops", "l2", "fit_converged")
"""Metrics of the summary that are no scores: sizes, and how a stacking was fitted."""

Scores = dict[tuple[str, str], float]
Logits = dict[str, np.ndarray]


def recomputed_scores(file: Path) -> Scores:
    """The scores by (predictor, metric)."""
    tensors = load_file(file)
    test, validation = (_predictors(tensors, part) for part in ("logits", "validation_logits"))
    labels, validation_labels = (tensors[name].astype(int) for name in ("labels", "validation_labels"))
    found: Scores = {}
    for name, logits in test.items():
        plain = _scores(logits, labels)
        temperature = _temperature(validation[name], validation_labels)
        cooled = _scores(logits / temperature, labels)
        plain |= {"temperature": temperature}
        plain |= {f"{metric}_calibrated": cooled[metric] for metric in ("nll_nats", "brier", "ece")}
        found |= {(name, metric): value for metric, value in plain.items()}
    for stage, experts in _stages(tensors, "logits").items():
        found |= {(f"{name}_{stage}", metric): value for name, metric, value in _of_experts(experts, labels)}
    return found


def recomputed_classes(file: Path) -> Scores:
    """Accuracy within each class, by (predictor, class)."""
    tensors = load_file(file)
    labels = tensors["labels"]
    return {
        (name, str(label)): metrics.accuracy_score(labels[labels == label], logits.argmax(1)[labels == label])
        for name, logits in _predictors(tensors, "logits").items()
        for label in np.unique(labels)
    }


def _stages(tensors: Mapping[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    """Logits (E, N, K) of the experts of each stage."""
    names = [re.fullmatch(rf"expert_\d+_(\w+)/{part}", name) for name in sorted(tensors)]
    stages = dict.fromkeys(name[1] for name in names if name)
    return {
        stage: np.stack([tensors[name[0]].astype(float) for name in names if name and name[1] == stage])
        for stage in stages
    }


def _predictors(tensors: Mapping[str, np.ndarray], part: str) -> Logits:
    """Logits of every predictor that has probabilities, averages included."""
    found = {
        name.removesuffix(f"/{part}"): tensors[name].astype(float) for name in tensors if name.endswith(f"/{part}")
    }
    for stage, experts in _stages(tensors, part).items():
        found[f"probability_average_{stage}"] = np.log(softmax(experts, axis=-1).mean(0))
        found[f"logit_average_{stage}"] = experts.mean(0)
        if "fused" in found:
            together = np.concatenate([found["fused"][None], experts])
            found["fused_plus_experts"] = np.log(softmax(together, axis=-1).mean(0))
    return found


def _scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    probabilities, classes = softmax(logits, axis=1), np.arange(logits.shape[1])
    onehot = labels[:, None] == classes
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    found = {
        "top1_percent": 100 * metrics.accuracy_score(labels, probabilities.argmax(1)),
        "nll_nats": metrics.log_loss(labels, probabilities, labels=classes),
        "brier": float(((probabilities - onehot) ** 2).sum(1).mean()),
        "ece": _calibration_error(confidence, right),
        "aurc": float((np.cumsum(~right[np.argsort(-confidence)]) / np.arange(1, len(right) + 1)).mean()),
    }
    if len(classes) > 5:
        found["top5_percent"] = 100 * metrics.top_k_accuracy_score(labels, probabilities, k=5, labels=classes)
    return found


def _calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    error = 0.0
    for low, high in zip(np.linspace(0, 1, BINS + 1)[:-1], np.linspace(0, 1, BINS + 1)[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        error += abs(confidence[inside].sum() - right[inside].sum()) / len(right)
    return error


def _temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The minimiser of the mean NLL of softmax(logits / T) from 0.01 to 100: where its slope by 1/T is zero."""

    def slope(log_t: float) -> float:
        expected = (softmax(logits / np.exp(log_t), axis=1) * logits).sum(1)
        return float((expected - logits[np.arange(len(labels)), labels]).mean())

    low, high = np.log(0.01), np.log(100.0)
    if slope(low) <= 0 or slope(high) >= 0:
        return 0.01 if slope(low) <= 0 else 100.0
    return float(np.exp(brentq(slope, low, high, xtol=1e-13)))


def _of_experts(logits: np.ndarray, labels: np.ndarray) -> Iterator[tuple[str, str, float]]:
    """(predictor, metric, value): vote, oracle and diversity of the experts of one stage."""
    predicted = logits.argmax(-1)
    right = predicted == labels
    votes = np.stack([(predicted == label).sum(0) for label in range(logits.shape[-1])], axis=-1)
    ranked = votes + softmax(logits, axis=-1).mean(0) / 2
    yield "majority_vote", "top1_percent", 100 * float((ranked.argmax(1) == labels).mean())
    yield "oracle", "top1_percent", 100 * float(right.any(0).mean())
    pairs: dict[str, list[float]] = {}
    for i, j in combinations(range(len(logits)), 2):
        table = metrics.confusion_matrix(right[i], right[j], labels=[False, True])
        (n00, n01), (n10, n11) = table.tolist()
        measures: dict[str, Any] = {
            "disagreement": 1 - metrics.accuracy_score(predicted[i], predicted[j]),
            "double_fault": n00 / len(labels),
            "q_statistic": (n11 * n00 - n01 * n10) / (n11 * n00 + n01 * n10),
            "error_correlation": metrics.matthews_corrcoef(right[i], right[j]),
        }
        for measure, value in measures.items():
            yield "experts", f"{measure}_{i}_{j}", value
            pairs.setdefault(measure, []).append(value)
    for measure, values in pairs.items():
        yield "experts", measure, float(np.mean(values))
    for dropped in range(len(logits)):
        left = logsumexp(np.delete(logits - logsumexp(logits, axis=-1, keepdims=True), dropped, axis=0), axis=0)
        yield "experts", f"top1_without_{dropped}_percent", 100 * float((left.argmax(1) == labels).mean())
