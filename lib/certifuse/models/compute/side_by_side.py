"""Experts of a network side by side on a CPU, each in one thread, instead of each in turn on all threads.

Small networks gain more from this than from threads inside each operation, which wait for each other thousands of
times in a step. No expert reads what another writes, so the numbers are those of the experts in turn with as many
threads inside each operation, to the bit, whichever thread ends first.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from certifuse.models.compute.experts import HasExperts


def run_side_by_side(network: HasExperts, threads: int) -> None:
    """Let up to `threads` experts run at once from now on, with the threads that are left over inside each operation.

    Experts with dropout stay in turn: they would draw from one generator in an order that differs from run to run.
    """
    at_once = min(threads, len(network.experts))
    if at_once == 1 or any(isinstance(module, nn.Dropout) and module.p > 0 for module in network.experts.modules()):
        return
    torch.set_num_threads(threads // at_once)
    network.run_experts = SideBySide(at_once, threads // at_once)


class SideBySide:
    """Runs up to `at_once` experts at the same time. Gradients reach their parameters, and not the images."""

    def __init__(self, at_once: int, threads_each: int) -> None:
        self._pool = ThreadPoolExecutor(at_once, "expert", torch.set_num_threads, (threads_each,))

    def __deepcopy__(self, memo: dict[int, Any]) -> "SideBySide":
        """Itself: a copy of a network runs its experts on the same threads."""
        return self

    def __call__(self, experts: Sequence[nn.Module], images_NCHW: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Features and logits of each expert."""
        parameters = [[own for own in expert.parameters() if own.requires_grad] for expert in experts]
        flat = _Passes.apply(  # type: ignore[no-untyped-call]
            self._pool, experts, images_NCHW, parameters, torch.is_grad_enabled(), *chain(*parameters)
        )
        return list(zip(flat[::2], flat[1::2], strict=True))


class _Passes(torch.autograd.Function):
    """The forward and the backward passes of all experts: each has a graph of its own, which one thread goes through.

    The parameters come twice: by expert, and in a row, where autograd sees them.
    """

    @staticmethod
    def forward(
        ctx: Any,
        pool: ThreadPoolExecutor,
        experts: Sequence[nn.Module],
        images_NCHW: Tensor,
        parameters: list[list[nn.Parameter]],
        trains: bool,
        *_: Tensor,
    ) -> tuple[Tensor, ...]:
        bf16, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

        def run(expert: nn.Module) -> tuple[Tensor, Tensor]:
            with torch.set_grad_enabled(trains), torch.autocast("cpu", dtype, enabled=bf16):
                features_Nd, logits_NK = expert(images_NCHW)
                return features_Nd, logits_NK

        ctx.pool, ctx.parameters = pool, parameters
        ctx.results = list(pool.map(run, experts))
        return tuple(tensor.detach() for result in ctx.results for tensor in result)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        def run(
            result: tuple[Tensor, Tensor], parameters: list[nn.Parameter], *gradients: Tensor
        ) -> Sequence[Tensor | None]:
            return torch.autograd.grad(result, parameters, gradients, allow_unused=True) if parameters else ()

        by_expert = ctx.pool.map(run, ctx.results, ctx.parameters, gradients[::2], gradients[1::2])
        return (None,) * 5 + tuple(chain(*by_expert))
