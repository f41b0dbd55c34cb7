"""Learning rates as pure functions of the epoch, so that a resumed run needs no scheduler state.

At whole epochs they equal torch's schedulers; between them they are the same formulas, continued.
"""

import math


def learning_rate(
    schedule: str, base_lr: float, min_lr: float, epoch: float, epochs: int, warmup_epochs: float = 0.0
) -> float:
    """The rate after `epoch` (a real number) of `epochs` epochs.

    `constant`; `cosine`: one half-wave from base to minimum (`CosineAnnealingLR(T_max=epochs)`);
    `cosine_warm_restarts`: `CosineAnnealingWarmRestarts(T_0=max(1, epochs // 4), T_mult=2)`
    (Loshchilov and Hutter 2017, arXiv 1608.03983, eq. 5). Each of them is multiplied by a linear rise from zero over
    the first `warmup_epochs`.

    `triangular`: linear from zero to the base over the first `warmup_epochs`, then linear to the minimum at the end,
    which is the whole of a one-cycle policy (Smith and Topin 2017, arXiv 1708.07120) or, without a rise, a linear fall.
    """
    rise = min(1.0, epoch / warmup_epochs) if warmup_epochs else 1.0
    return rise * _fall(schedule, base_lr, min_lr, epoch, epochs, warmup_epochs)


def _fall(schedule: str, base_lr: float, min_lr: float, epoch: float, epochs: int, warmup_epochs: float) -> float:
    if schedule == "constant":
        return base_lr
    if schedule == "cosine":
        return _half_wave(base_lr, min_lr, epoch / epochs)
    if schedule == "cosine_warm_restarts":
        period = max(1, epochs // 4)
        start = 0
        while epoch >= start + period:
            start, period = start + period, 2 * period
        return _half_wave(base_lr, min_lr, (epoch - start) / period)
    if schedule == "triangular":
        left = (epochs - epoch) / (epochs - warmup_epochs) if epoch > warmup_epochs else 1.0
        return min_lr + (base_lr - min_lr) * max(left, 0.0)
    raise ValueError(f"schedule: expected constant, cosine, cosine_warm_restarts or triangular, found {schedule!r}")


def adapted_to_dimension(expert_lr: float, fusion_lr: float, feature_dim: int) -> tuple[float, float]:
    """The guides' rule: below 100 features x 1.3 and x 1.2, above 1000 x 0.7 and x 0.8."""
    if feature_dim < 100:
        return expert_lr * 1.3, fusion_lr * 1.2
    if feature_dim > 1000:
        return expert_lr * 0.7, fusion_lr * 0.8
    return expert_lr, fusion_lr


def _half_wave(base_lr: float, min_lr: float, progress: float) -> float:
    return min_lr + (base_lr - min_lr) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
