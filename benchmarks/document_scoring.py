"""Documents per second of our scoring for bounds against a loop in the style of published code, as JSON.

    python benchmarks/document_scoring.py --threads 2 > document_scoring.json

Both score the same documents with the same small GPT-2 (random weights, GPT-2's vocabulary): bits per token under eight
smoothings and top-k errors for twelve k. The loop takes one document at a time, sorts the whole vocabulary for one rank
per token, and walks over tokens and smoothings in Python with `.item()`; the percentiles that published code computes
as well are left out. Documents fit the context, so that no difference between windows helps either side. They take
turns in one process; the first turn warms up, and medians over the others are compared. `scoring_over_forward` is
our time beyond the network and its head, over theirs. Quote ratios: absolute rates depend on what else the machine
does, and where it does much, the ratio of processor times is the steadier one. A minute or two on two cores.

Seen on one thread of a crowded AMD EPYC with avx512_bf16, PyTorch 2.13.0: 9.9 and 10.1 by processor time (8.7 and 9.6
by wall time); scoring 0.17 to 0.25 of the forward pass, which takes 80 to 85 % of our time and 8 % of the loop's.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certifuse.base.environment import environment_record
from certifuse.data.text.windows import WindowRule
from certifuse.evaluation.language.document_scores import TOP_K, losses_bpd, top_k_errors
from certifuse.evaluation.language.token_scores import LanguageModel, score_tokens
from certifuse.models.language.gpt2 import Gpt2, build_gpt2
from certifuse.study.settings.language_models import LanguageModelSettings

VOCABULARY, START = 50_257, 50_256
ALPHAS = (1e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 0.25, 0.5)

Documents = list[NDArray[np.int64]]
Scores = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Losses (N, A) and top-k errors (N, K)."""


def random_documents(count: int, context: int) -> Documents:
    """Lengths as in a corpus of short texts, at most the context; tokens do not matter for speed."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(np.log(context / 2), 0.5, count).astype(int), 8, context)
    return [rng.integers(VOCABULARY - 1, size=length) for length in lengths]


def ours(network: Gpt2, documents: Documents, device: str) -> Scores:
    """The library."""
    model = LanguageModel(network, network.hidden_states, network.logits, VOCABULARY)
    rule = WindowRule(context=network.context, stride=network.context)
    scores = score_tokens(model, documents, rule, START, device)
    return losses_bpd(scores, ALPHAS, VOCABULARY), top_k_errors(scores)


def only_the_network(network: Gpt2, documents: Documents, device: str) -> None:
    """The forward passes of `ours`, in its batches and with its rows of the head, and no scores."""

    def no_scores(_: Tensor, targets_M: Tensor, __: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(targets_M)), torch.zeros(len(targets_M))

    with mock.patch("certifuse.evaluation.language.token_scores.score_rows", no_scores):
        ours(network, documents, device)


@torch.no_grad()
def published_style(network: Gpt2, documents: Documents, device: str) -> Scores:
    """One document at a time; a sort of the vocabulary, and a Python loop over tokens and smoothings."""
    losses, errors = [], []
    for document in documents:
        tokens_T = torch.from_numpy(document).to(device)
        inputs_1T = torch.cat([torch.tensor([START], device=device), tokens_T[:-1]])[None]
        probabilities_TV = torch.softmax(network(inputs_1T)[0], -1)
        order_TV = torch.sort(probabilities_TV, dim=-1, descending=True).indices
        ranks_T = torch.argmax((order_TV == tokens_T[:, None]).long(), dim=-1)
        chosen_T = probabilities_TV[torch.arange(len(document)), tokens_T]
        losses.append(
            [-sum(np.log2((1 - a) * p.item() + a / VOCABULARY) for p in chosen_T) / len(document) for a in ALPHAS]
        )
        errors.append([sum(rank.item() >= k for rank in ranks_T) / len(document) for k in TOP_K])
    return np.array(losses), np.array(errors)


def seconds(action: Callable[[], object], device: str) -> dict[str, float]:
    """Wall time and processor time (all threads) of one call."""
    start, start_of_process = time.perf_counter(), time.process_time()
    action()
    if device == "cuda":
        torch.cuda.synchronize()
    return {"wall_s": time.perf_counter() - start, "processor_s": time.process_time() - start_of_process}


def measure(network: Gpt2, documents: Documents, device: str, turns: int) -> dict[str, Any]:
    """Medians over turns, their ratios, and by how much the two sides' values differ."""
    sides = {"ours": ours, "forward": only_the_network, "published_style": published_style}
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for turn in range(turns + 1):
        for name, side in sides.items():
            times = seconds(lambda side=side: side(network, documents, device), device)
            if turn:
                taken[name].append(times)
    (losses, errors), (slow_losses, slow_errors) = (
        side(network, documents, device) for side in (ours, published_style)
    )
    return {
        **{clock: compare(taken, clock, len(documents)) for clock in ("wall_s", "processor_s")},
        "turns": taken,
        "largest_difference_bpd": float(np.abs(losses - slow_losses).max()),
        "largest_difference_top_k": float(np.abs(errors - slow_errors).max()),
    }


def compare(taken: dict[str, list[dict[str, float]]], clock: str, documents: int) -> dict[str, Any]:
    """What the medians by one clock say."""
    median_s = {name: statistics.median(times[clock] for times in turns) for name, turns in taken.items()}
    return {
        "documents_per_s": {name: documents / median_s[name] for name in ("ours", "published_style")},
        "ratio": median_s["published_style"] / median_s["ours"],
        "forward_share": {name: median_s["forward"] / median_s[name] for name in ("ours", "published_style")},
        "scoring_over_forward": (median_s["ours"] - median_s["forward"]) / median_s["forward"],
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default: 2)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where both sides run (default: cpu)")
    parser.add_argument("--layers", type=int, default=4, help="blocks of the network (default: 4)")
    parser.add_argument("--width", type=int, default=128, help="width of the network (default: 128)")
    parser.add_argument("--context", type=int, default=256, help="longest document (default: 256)")
    parser.add_argument("--documents", type=int, default=24, help="documents a turn (default: 24)")
    parser.add_argument("--turns", type=int, default=3, help="timed turns of each side (default: 3)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    shape = {"layers": arguments.layers, "width": arguments.width, "context": arguments.context}
    settings = LanguageModelSettings(heads=max(1, arguments.width // 64), **shape)
    network = build_gpt2(settings, VOCABULARY, seed=0).eval().to(arguments.device)
    documents = random_documents(arguments.documents, arguments.context)
    record = {
        "environment": environment_record(),
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu",
        "threads": arguments.threads,
        "network": shape | {"vocabulary": VOCABULARY},
        "documents": len(documents),
        "tokens": sum(map(len, documents)),
        **measure(network, documents, arguments.device, arguments.turns),
    }
    json.dump(record, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
