"""Baselines that combine finished experts without training them together.

Shape suffixes: E experts, N examples, K classes. Results are float64.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from certifuse.evaluation.images.checks import check_finite, check_labels, check_outputs

STACKING_ITERATIONS = 150
STACKING_TOLERANCE = 1e-5


def probability_average(log_probs_ENK: Tensor) -> Tensor:
    """Log of the mean probability, log 1/E sum_e p_e, shape (N, K): the deep-ensemble prediction.

    Lakshminarayanan, Pritzel and Blundell (2017), "Simple and scalable predictive uncertainty estimation", sec. 2.4.
    """
    check_outputs("log_probs_ENK", log_probs_ENK, "ENK")
    return log_probs_ENK.double().logsumexp(0) - math.log(len(log_probs_ENK))


def two_views(log_probs: Tensor, mirrored_log_probs: Tensor) -> Tensor:
    """Log of the mean probability over an image and its mirror image, float64, of any shape (..., K)."""
    return torch.logaddexp(log_probs.double(), mirrored_log_probs.double()) - math.log(2)


def logit_average(logits_ENK: Tensor) -> Tensor:
    """Log-probabilities (N, K) of softmax(1/E sum_e logits_e): the normalised geometric mean of the distributions."""
    check_outputs("logits_ENK", logits_ENK, "ENK")
    return logits_ENK.double().mean(0).log_softmax(-1)


def majority_vote(logits_ENK: Tensor) -> Tensor:
    """The class (N,) that most experts rank first.

    Among classes with equally many votes the one with the largest mean probability wins, then the lower index.
    """
    check_outputs("logits_ENK", logits_ENK, "ENK")
    votes_NK = functional.one_hot(logits_ENK.argmax(-1), logits_ENK.shape[-1]).sum(0)
    mean_probs_NK = logits_ENK.double().softmax(-1).mean(0)
    return mean_probs_NK.masked_fill(votes_NK < votes_NK.amax(-1, keepdim=True), -1.0).argmax(-1)


def oracle_correct(logits_ENK: Tensor, labels_N: Tensor) -> Tensor:
    """ "At least one expert is right" as bool (N,): the ceiling of every rule that picks one expert per example."""
    check_outputs("logits_ENK", logits_ENK, "ENK")
    check_labels(labels_N, *logits_ENK.shape[1:])
    return (logits_ENK.argmax(-1) == labels_N).any(0)


@dataclass(frozen=True, kw_only=True)
class Stacking:
    """A linear classifier on the experts' log-probabilities: log_softmax(sum_e log_probs_e @ weights_e + bias).

    Attributes:
        weights_EKK: the block of each expert, from its class (second axis) to the predicted class (third axis).
        bias_K: the class offsets.
        objective_nats: the value that was minimised, at these weights.
        gradient: the largest absolute entry of its gradient by the standardised weights and the bias.
        converged: whether `gradient` is within the tolerance. False means that the iterations ran out, or that
            rounding stopped the line search; the weights are then the last ones reached, not the optimum.
    """

    weights_EKK: Tensor
    bias_K: Tensor
    objective_nats: float
    gradient: float
    converged: bool

    def log_probs(self, logits_ENK: Tensor) -> Tensor:
        """Stacked log-probabilities (N, K) from logits or log-probabilities of the same experts."""
        experts, classes = self.weights_EKK.shape[:2]
        features_NF = _features(logits_ENK)
        if (logits_ENK.shape[0], logits_ENK.shape[2]) != (experts, classes):
            raise ValueError(f"logits_ENK: expected shape ({experts}, N, {classes}), found {tuple(logits_ENK.shape)}")
        return torch.addmm(self.bias_K, features_NF, self.weights_EKK.flatten(0, 1)).log_softmax(-1)


def fit_stacking(
    logits_ENK: Tensor,
    labels_N: Tensor,
    l2: float,
    max_iterations: int = STACKING_ITERATIONS,
    tolerance: float = STACKING_TOLERANCE,
) -> Stacking:
    """Multinomial logistic regression on the concatenated expert log-probabilities (stacking, Wolpert 1992).

    Minimises mean NLL + l2 / 2 sum_e ||W_e - I/E||^2 over W and an unpenalised bias by full-batch L-BFGS from
    W_e = I/E. Without steps, or with a large l2, that is `logit_average`. Fit on examples that trained no expert.

    Args:
        logits_ENK: logits or log-probabilities of the experts.
        labels_N: the labels.
        l2: at least 0, per example (scikit-learn's 1 / (C N)). Choose it on a validation set: E K^2 weights fitted to
            few examples overfit when it is small, and with 0 separable classes have no optimum.
        max_iterations: cap on L-BFGS iterations, each about one evaluation. With E = 4, N = 10,000 and K = 100 one
            takes about 50 ms on one core.
        tolerance: largest absolute gradient entry that counts as converged.
    """
    features_NF = _features(logits_ENK)
    experts, examples, classes = logits_ENK.shape
    check_labels(labels_N, examples, classes)
    if not 0 <= l2 < math.inf or max_iterations < 0:
        raise ValueError(f"expected finite l2 >= 0 and max_iterations >= 0, found {l2!r} and {max_iterations!r}")
    average_FK = torch.eye(classes, dtype=torch.float64, device=logits_ENK.device).repeat(experts, 1) / experts
    problem = _StackingProblem(features_NF, labels_N, average_FK, l2)
    objective_nats, gradient = problem.minimise(max_iterations, tolerance)
    weights_FK, bias_K = problem.solution()
    return Stacking(
        weights_EKK=weights_FK.view(experts, classes, classes),
        bias_K=bias_K,
        objective_nats=objective_nats,
        gradient=gradient,
        converged=gradient <= tolerance,
    )


def _features(logits_ENK: Tensor) -> Tensor:
    """Log-probabilities of all experts side by side, (N, F) with F = E K."""
    check_outputs("logits_ENK", logits_ENK, "ENK")
    check_finite("logits_ENK", logits_ENK)
    return logits_ENK.double().log_softmax(-1).movedim(0, 1).flatten(1)


class _StackingProblem:
    """The objective in V = scale (W - average) and b on standardised features (F = E K).

    Centred features of unit mean square change the path of L-BFGS (half the iterations) and not the optimum: the
    unpenalised bias absorbs the centre, and the penalty is rescaled with the weights.
    """

    def __init__(self, features_NF: Tensor, labels_N: Tensor, average_FK: Tensor, l2: float) -> None:
        self.average_FK, self.centre_F = average_FK, features_NF.mean(0)
        centred_NF = features_NF - self.centre_F
        self.scale = float(centred_NF.square().mean().sqrt()) or 1.0
        self.standard_NF, self.penalty = centred_NF / self.scale, l2 / self.scale**2
        self.start_NK = features_NF @ average_FK
        self.onehot_NK = functional.one_hot(labels_N.long(), average_FK.shape[1]).double()
        self.change_FK, self.bias_K = torch.zeros_like(average_FK), torch.zeros_like(average_FK[0])

    def evaluate(self) -> float:
        """The objective in nats; leaves its gradient in `.grad`, written out so that it also runs without autograd."""
        stacked_NK = torch.addmm(self.start_NK + self.bias_K, self.standard_NF, self.change_FK).log_softmax(1)
        residual_NK = (stacked_NK.exp() - self.onehot_NK) / len(stacked_NK)
        self.change_FK.grad = self.penalty * self.change_FK + self.standard_NF.T @ residual_NK
        self.bias_K.grad = residual_NK.sum(0)
        nll = -(stacked_NK * self.onehot_NK).sum() / len(stacked_NK)
        return float(nll + 0.5 * self.penalty * self.change_FK.square().sum())

    def minimise(self, max_iterations: int, tolerance: float) -> tuple[float, float]:
        """Run L-BFGS. Returns the objective and the largest absolute gradient entry where it stopped."""
        optimiser = torch.optim.LBFGS(
            [self.change_FK, self.bias_K],
            max_iter=max_iterations,
            max_eval=2 * max_iterations,
            tolerance_grad=tolerance,
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )
        optimiser.step(self.evaluate)  # type: ignore[no-untyped-call]
        objective_nats = self.evaluate()
        gradients = (self.change_FK.grad, self.bias_K.grad)
        return objective_nats, max(float(gradient.abs().max()) for gradient in gradients if gradient is not None)

    def solution(self) -> tuple[Tensor, Tensor]:
        """Weights (F, K) and bias (K,) for features as they were given."""
        change_FK = self.change_FK.detach() / self.scale
        return self.average_FK + change_FK, self.bias_K.detach() - self.centre_F @ change_FK
