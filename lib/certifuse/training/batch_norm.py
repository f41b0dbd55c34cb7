"""Batch norms in training: the memory of their statistics, and whether their scales are trained."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from certifuse.study.settings.recipe import Recipe


def set_batch_norms(network: nn.Module, recipe: Recipe) -> None:
    """Set momentum and scales of all batch norms as a recipe says. Nothing of it is stored with the weights."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            if recipe.batch_norm_momentum is not None:
                module.momentum = recipe.batch_norm_momentum
            if not recipe.train_norm_scales:
                module.weight.requires_grad_(False)
