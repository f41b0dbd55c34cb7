"""Training of a language model in a subspace: at full precision, then quantised.

An epoch of the loop is a stretch of steps between two validations.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from certifuse.base.randomness import seed_layers
from certifuse.base.tensors import flat, nested
from certifuse.data.text.token_batches import TokenBatch, TokenStream, draw_batch, window_starts
from certifuse.data.text.tokenisers import Vocabulary
from certifuse.data.text.windows import WindowRule
from certifuse.evaluation.language.document_scores import unsmoothed_bpd
from certifuse.evaluation.language.token_scores import LanguageModel, score_tokens
from certifuse.models.compute.runtime import Runtime
from certifuse.models.language.gpt2 import Gpt2
from certifuse.models.subspace.allocation import AllocatedNetwork
from certifuse.models.subspace.quantisation import quantise_network
from certifuse.study.settings.sublora import SubloraTraining
from certifuse.training.loop.finite import FiniteWatch
from certifuse.training.loop.loop import Criterion, Row
from certifuse.training.loop.processes import Processes
from certifuse.training.optimisation import ParameterGroup, make_optimiser, optimiser_tensors, restore_optimiser

OF_LANGUAGE = Criterion(
    rank=lambda row: (-row["validation_bpd"],),
    line=lambda row: (
        f"step {row['step']}, training loss {row['train_loss_bpd']:.4f} bits per token, validation "
        f"{row['validation_bpd']:.4f}, {row['seconds']:.1f} s, {row['tokens_per_s']:.0f} tokens/s"
    ),
    beside_bar=lambda row: f"validation={row['validation_bpd']:.3f} bits",
    unit="stretch",
)


def full_precision_groups(network: AllocatedNetwork, training: SubloraTraining) -> list[ParameterGroup]:
    """w, and the gates where they are learned; a unit of their schedules is a step."""
    groups = [_group("subspace", network.w, training, training.lr, training.weight_decay)]
    if network.gating is not None and not network.gating.is_hard:
        groups.append(_group("gates", network.gating.g_G, training, training.gates.lr, 0.0))
    return groups


def _group(
    name: str, parameter: torch.nn.Parameter, training: SubloraTraining, lr: float, decay: float
) -> ParameterGroup:
    return ParameterGroup(
        name=name,
        parameters=[parameter],
        optimiser=make_optimiser("adamw", [parameter], decay),
        base_lr=lr,
        schedule="cosine",
        min_lr=min(training.min_lr, lr),
        epochs=training.steps,
        warmup_epochs=training.warmup_steps,
        clip_norm=training.clip_norm,
    )


def quantised_groups(network: AllocatedNetwork, training: SubloraTraining) -> list[ParameterGroup]:
    """w alone: the splits are fixed by then."""
    return [
        ParameterGroup(
            name="subspace",
            parameters=[network.w],
            optimiser=make_optimiser("adamw", [network.w], 0.0),
            base_lr=training.quantised_lr,
            schedule="cosine",
            min_lr=0.0,
            epochs=training.quantised_steps,
            clip_norm=training.clip_norm,
        )
    ]


@dataclass
class LanguageTrainee:
    """A language model in a subspace, in training; with `levels`, quantised to so many.

    A batch is a function of (seed, step), whatever the number of processes. The gates narrow before every step of
    the training at full precision, and are hard whenever the network is validated.
    """

    network: AllocatedNetwork
    groups: Sequence[ParameterGroup]
    stream: TokenStream
    validation: Sequence[NDArray[np.integer]]
    vocabulary: Vocabulary
    training: SubloraTraining
    levels: int | None
    runtime: Runtime
    seed: int
    processes: Processes

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.training.steps if self.levels is None else self.training.quantised_steps

    def train(self, epoch: int) -> Row:
        """The steps up to the next validation."""
        self.network.train()
        seed_layers(self.seed, "layers", epoch, self.processes.rank)
        first = epoch * self.training.validate_every
        last = min(first + self.training.validate_every, self.steps)
        finite = FiniteWatch(self.runtime.device, self.network, self._replay)
        losses, norms = [], []
        began = time.perf_counter()
        for step in range(first, last):
            self._prepare(step, anew=step == first)
            losses.append(self._backward(step))
            finite.watch(step, "loss", losses[-1])
            for group in self.groups:
                norm = group.after_backward(step, last=True)
                assert norm is not None, "every step is one of the optimiser"
                finite.watch(step, f"{group.name} gradient", norm)
                norms.append(norm)
        finite.require()
        seconds = time.perf_counter() - began
        tokens = (last - first) * self.training.batch_size * self.network.network.context
        return {
            "step": last,
            "levels": self.levels,
            "train_loss_bpd": float(torch.stack(losses).double().mean()) / math.log(2.0),
            "tau": None if self.network.gating is None else float(self.network.gating.tau),
            **{f"gamma_{group}": share for group, share in self.network.gates().items()},
            "lr": self.groups[0].lr(last - 1),
            "gradient_norm": float(torch.stack(norms[:: len(self.groups)]).double().mean()),
            "seconds": seconds,
            "tokens_per_s": tokens / seconds,
        }

    def _replay(self, step: int) -> dict[str, Any]:
        """The facts that draw the batch of a step again, and where its windows begin, over all processes."""
        first_B = window_starts(self.stream, self.network.network.context, self.training.batch_size, self.seed, step)
        return {"step": step + 1, "seed": self.seed, "levels": self.levels, "window_starts": first_B.tolist()}

    def _prepare(self, step: int, *, anew: bool) -> None:
        """Prepare a step: narrower gates, or now and then a codebook that fits."""
        if self.levels is None:
            self.network.anneal(step / self.steps)
        elif anew or step % self.training.codebook_every == 0:
            self._quantise()

    def _quantise(self) -> None:
        quantise_network(self.network, self.levels, self.training.codebook)

    def _backward(self, step: int) -> Tensor:
        """Gradients of the mean loss over the targets of the whole batch, on every process; and that loss, in nats."""
        mine, device = self.processes, self.runtime.device
        context, windows = self.network.network.context, self.training.batch_size
        batch = draw_batch(self.stream, context, windows, self.seed, step, device, mine.rank, mine.count)
        total = torch.zeros((), device=device)
        for inputs, targets in self._passes(batch):
            with self.runtime.autocast():
                logits_NTV = self.network(inputs)[..., : self.vocabulary.size]
            loss = functional.cross_entropy(logits_NTV.float().flatten(0, 1), targets.flatten(), reduction="sum")
            loss = loss / batch.predictions
            torch.autograd.backward(loss)
            total += loss.detach()
        gradients = [parameter.grad for group in self.groups for parameter in group.parameters]
        mine.add_up([*(gradient for gradient in gradients if gradient is not None), total])
        return total

    def _passes(self, batch: TokenBatch) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of the windows that are in memory at once."""
        size = self.training.windows_per_pass or len(batch.inputs_BC)
        return zip(torch.split(batch.inputs_BC, size), torch.split(batch.targets_BC, size), strict=True)

    def validate(self) -> dict[str, float]:
        """Mean bits per token over the validation documents, each weighing the same."""
        own = self.validation[self.processes.rank :: self.processes.count]
        judged = self.judged()
        model = LanguageModel(judged, judged.hidden_states, judged.logits, self.vocabulary.size)
        rule = WindowRule(context=judged.context, stride=judged.context)
        total = torch.zeros(1, dtype=torch.float64, device=self.runtime.device)
        if own:
            with self.runtime.autocast():
                scores = score_tokens(model, own, rule, self.vocabulary.start_token, self.runtime.device)
            total += float(unsmoothed_bpd(scores).sum())
        self.processes.add_up([total])
        return {"validation_bpd": float(total) / len(self.validation)}

    @torch.no_grad()
    def judged(self) -> Gpt2:
        """The network as it would be coded now: gates hardened, w quantised. What is trained stays as it is."""
        before = {name: tensor.clone() for name, tensor in self.network.trained_state().items()}
        self._quantise()
        self.network.eval()
        self.network.anneal(1.0)
        w_d = self.network.w if self.network.quantise is None else self.network.quantise(self.network.w)
        network = self.network.network_at(w_d)
        self.network.restore_trained_state(before)
        return network

    def weights(self) -> dict[str, Tensor]:
        """w, before quantisation, and the state of the gates."""
        return self.network.trained_state()

    def state(self) -> dict[str, Tensor]:
        """Weights and the optimisers' states."""
        optimisers = {group.name: optimiser_tensors(group.optimiser) for group in self.groups}
        return flat({"network": self.weights(), **optimisers})

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        parts = nested(tensors, ["network", *(group.name for group in self.groups)])
        self.network.restore_trained_state(parts["network"])
        for group in self.groups:
            restore_optimiser(group.optimiser, parts[group.name])
