"""Negative log-likelihood and rank of every token of every document: all that document scores are made of.

Shapes: N windows, T tokens of a window, D width of a hidden state, V vocabulary, M scored positions, S targets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from certifuse.data.text.windows import WindowBatch, WindowRule, flatten, window_batches

BATCH_TOKENS = 16_384
CPU_LOGITS, GPU_LOGITS = 1 << 22, 1 << 28
"""Logits held at once: about the last-level cache of a CPU, a gigabyte of a GPU."""
CHECKED_TOKENS = 64


@dataclass(frozen=True, eq=False)
class TokenScores:
    """`nll_nats_S` float64 and `rank_S` int32 of all targets; document d has those at `offsets[d]` .. `offsets[d+1]`.

    The rank of the true token is the number of other tokens whose logit is at least its own: ties count against the
    model, so that no order of the vocabulary can flatter it.
    """

    nll_nats_S: NDArray[np.float64]
    rank_S: NDArray[np.int32]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A causal network: `hidden` maps tokens int64 (N, T) to states (N, T, D), `head` states (M, D) to logits (M, V').

    States after a position depend on no later token. Tokens 0..vocabulary - 1 are predicted; logits of further ones
    are dropped. Whoever wants bf16 wraps the call in autocast: logits are made fp32 here.
    """

    network: nn.Module
    hidden: Callable[[Tensor], Tensor]
    head: Callable[[Tensor], Tensor]
    vocabulary: int


def score_tokens(
    model: LanguageModel,
    documents: Sequence[NDArray[np.integer]],
    rule: WindowRule,
    start: int,
    device: torch.device | str = "cpu",
    batch_tokens: int = BATCH_TOKENS,
) -> TokenScores:
    """Score every token of `documents` (int (T,) each) in windows by `rule`; `start` is the id of the start token.

    The logits of `batch_tokens` positions are never all in memory: the head is applied to a few rows at a time.
    Results are the same to the last bit for the same documents, batch size and device.

    Raises:
        ValueError: the network or a part of it is in training mode, two evaluations of the first tokens differ, a
            document is empty, or a score is not a number.
    """
    if any(module.training for module in model.network.modules()):
        raise ValueError("network: expected evaluation mode in all its parts, found training mode; call network.eval()")
    flat = flatten(documents, start, model.vocabulary)
    scored: list[tuple[Tensor, Tensor]] = []
    places: list[NDArray[np.int64]] = []
    with torch.inference_mode():
        for batch in window_batches(flat, rule, batch_tokens, start):
            if not places:
                _check_repeatable(model, batch, flat.targets_S, device)
            scored.append(_score_batch(model, batch, flat.targets_S, device))
            places.append(batch.places_S)
    place = np.concatenate(places)
    nll_S, rank_S = np.empty(place.size), np.empty(place.size, dtype=np.int32)
    nll_S[place], rank_S[place] = (torch.cat(parts).cpu().numpy() for parts in zip(*scored, strict=True))
    if np.isnan(nll_S).any():
        raise ValueError(f"network: expected numbers, got NaN for {int(np.isnan(nll_S).sum())} of {nll_S.size} tokens")
    return TokenScores(nll_S, rank_S, flat.offsets)


def score_rows(logits_MV: Tensor, targets_M: Tensor, scratch_MV: Tensor) -> tuple[Tensor, Tensor]:
    """Nll in nats, float64 (M,), and rank, int32 (M,), of one target a row; `scratch_MV` fp32 is written over.

    The sum over the vocabulary runs in fp32 and in blocks, which costs less than 1e-6 nats; what follows is float64.
    """
    target_M1 = logits_MV.gather(1, targets_M[:, None])
    rank_M = torch.ge(logits_MV, target_M1, out=scratch_MV).sum(1) - 1.0  # exact: V is far below 2^24
    top_M1 = logits_MV.amax(1, keepdim=True)
    log_sum_M = torch.sub(logits_MV, top_M1, out=scratch_MV).exp_().sum(1).double().log()
    nll_M = log_sum_M + (top_M1.double() - target_M1.double())[:, 0]
    return nll_M.clamp_min(0.0), rank_M.int()


def _score_batch(
    model: LanguageModel, batch: WindowBatch, targets_S: NDArray[np.int64], device: torch.device | str
) -> tuple[Tensor, Tensor]:
    """Nll and rank of the scored positions of a batch, row by row."""
    hidden_NTD = model.hidden(torch.from_numpy(batch.tokens_NT).to(device))
    hidden_MD = hidden_NTD[torch.from_numpy(batch.scored_NT).to(device)]
    targets_M = torch.from_numpy(targets_S[batch.places_S]).to(device)
    rows = max(1, (CPU_LOGITS if hidden_MD.device.type == "cpu" else GPU_LOGITS) // model.vocabulary)
    scratch_MV = torch.empty(min(rows, len(targets_M)), model.vocabulary, device=hidden_MD.device)
    nlls, ranks = [], []
    for hidden, targets in zip(torch.split(hidden_MD, rows), torch.split(targets_M, rows), strict=True):
        logits_MV = model.head(hidden)[:, : model.vocabulary].float()
        nll_M, rank_M = score_rows(logits_MV, targets, scratch_MV[: len(targets)])
        nlls.append(nll_M)
        ranks.append(rank_M)
    return torch.cat(nlls), torch.cat(ranks)


def _check_repeatable(
    model: LanguageModel, batch: WindowBatch, targets_S: NDArray[np.int64], device: torch.device | str
) -> None:
    """ValueError unless the first tokens of the first window have the same scores twice, to the bit."""
    scored_NT = batch.scored_NT[:1, :CHECKED_TOKENS]
    few = WindowBatch(batch.tokens_NT[:1, :CHECKED_TOKENS], scored_NT, batch.places_S[: int(scored_NT.sum())])
    (first, _), (second, _) = (_score_batch(model, few, targets_S, device) for _ in range(2))
    if not torch.equal(first.nan_to_num(-1.0), second.nan_to_num(-1.0)):
        raise ValueError(
            "network: two evaluations of the same tokens differ; expected equal bits: is dropout still on, perhaps in "
            "a part that is no registered submodule?"
        )
