"""Codec, risk and bounds of our certificates against plain Python loops in the style of published code, as JSON.

    python benchmarks/certificates.py --threads 2 > certificates.json

Both sides do the same work in one process and take turns, after a turn that warms up; medians are compared, and
their results are checked against each other.

codec_decimal: symbols of 11 levels; the loop narrows an interval of decimal numbers with as many digits as the message,
symbol by symbol, as published certificates do (and stop doing at 10,000 symbols, where they quote the entropy).
codec_integer: the best that a loop does, an adaptive coder on 32-bit numbers, symbol by symbol and bit by bit. Ours
chooses among three models, searches for the shortest message that delimits itself, and seals it.
decisions: right or wrong from logits. The loop looks at one image at a time, with `.item()`.
evaluation: the same with the network. The loop gives it one image at a time.
bounds: all nine inequalities for each cell of a grid of (d, L). The loop evaluates five of them: kl and the exact
binomial by bisection, with a sum over terms in Python, Catoni by a walk over its grid, and two closed forms.

Quote ratios: absolute times depend on what else the machine does, and where it does much, the ratio of processor times
is the steadier one. About a minute on two cores.

Seen on one thread of a crowded AMD EPYC, by processor time: codec 1.2 (500 symbols) and 8.7 (2,000) against decimal
numbers, whose cost grows with the square; 0.6 (2,000), 1.9 (10,000) and 2.7 (50,000) against whole numbers, since the
search for the shortest message decodes it some thirty times; decisions 93; evaluation 1.3, because the network is
nearly all of it; bounds 48, equal to 2e-8.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from certifuse.base.environment import environment_record
from certifuse.certificates.coding.codec import decode, encode
from certifuse.evaluation.bounds.claims import coded_claim
from certifuse.evaluation.bounds.excess import PriorComparison
from certifuse.evaluation.images.decisions import TIE, decide
from certifuse.models.images.architectures.registry import build_architecture
from certifuse.models.subspace.quantisation import fit_codebook
from certifuse.study.settings.architectures import ResNetSettings

LEVELS, CLASSES = 11, 100
TOP, HALF, QUARTER = (1 << 32) - 1, 1 << 31, 1 << 30
Work = tuple[Callable[[], Any], Callable[[], Any]]
"""The same piece of work: ours, and the loop."""


# ---- the loops -------------------------------------------------------------------------------------


class LoopCoder:
    """An adaptive arithmetic coder (Witten, Neal, Cleary 1987): counts plus one, 32-bit bounds, a bit at a time."""

    def __init__(self, levels: int) -> None:
        self.counts = [1] * levels

    def narrow(self, symbol: int, low: int, high: int) -> tuple[int, int]:
        """The part of [low, high] that belongs to a symbol, whose count then rises."""
        total, width = sum(self.counts), high - low + 1
        below = sum(self.counts[:symbol])
        bounds = low + width * below // total, low + width * (below + self.counts[symbol]) // total - 1
        self.counts[symbol] += 1
        return bounds

    def encode(self, symbols: list[int]) -> list[int]:
        """The bits of a message."""
        low, high, pending, bits = 0, TOP, 0, []
        for symbol in symbols:
            low, high = self.narrow(symbol, low, high)
            while True:
                if high < HALF or low >= HALF:
                    bit = int(low >= HALF)
                    bits += [bit] + [1 - bit] * pending
                    pending, shift = 0, HALF * bit
                elif low >= QUARTER and high < 3 * QUARTER:
                    pending, shift = pending + 1, QUARTER
                else:
                    break
                low, high = 2 * (low - shift), 2 * (high - shift) + 1
        bit = int(low >= QUARTER)
        return bits + [bit] + [1 - bit] * (pending + 1)

    def decode(self, bits: list[int], length: int) -> list[int]:
        """The symbols of a message."""
        stream = iter(bits)
        low, high, value, symbols = 0, TOP, 0, []
        for _ in range(32):
            value = 2 * value + next(stream, 0)
        for _ in range(length):
            total, running, symbol = sum(self.counts), 0, 0
            target = ((value - low + 1) * total - 1) // (high - low + 1)
            while running + self.counts[symbol] <= target:
                running, symbol = running + self.counts[symbol], symbol + 1
            symbols.append(symbol)
            low, high = self.narrow(symbol, low, high)
            while high < HALF or low >= HALF or (low >= QUARTER and high < 3 * QUARTER):
                shift = 0 if high < HALF else HALF if low >= HALF else QUARTER
                low, high = 2 * (low - shift), 2 * (high - shift) + 1
                value = 2 * (value - shift) + next(stream, 0)
        return symbols


def decimal_message(symbols: list[int], levels: int) -> list[int]:
    """Bits that name a number in the interval of a message under its own histogram (it is not in the message)."""
    low, width, edges = Decimal(0), Decimal(1), decimal_edges(symbols, levels)
    for symbol in symbols:
        low, width = low + width * edges[symbol], width * (edges[symbol + 1] - edges[symbol])
    bits, step, point = [], Decimal(1), Decimal(0)
    while not (point >= low and point + step <= low + width):
        step /= 2
        bits.append(int(point + step <= low + width / 2))
        point += step * bits[-1]
    return bits


def decimal_symbols(bits: list[int], edges: list[Decimal], length: int) -> list[int]:
    """The symbols of such a message."""
    value = Decimal(int("".join(map(str, bits)) or "0", 2)) / Decimal(2) ** len(bits)
    symbols = []
    for _ in range(length):
        symbol = max(s for s in range(len(edges) - 1) if edges[s] <= value and edges[s] < edges[s + 1])
        symbols.append(symbol)
        value = (value - edges[symbol]) / (edges[symbol + 1] - edges[symbol])
    return symbols


def decimal_edges(symbols: list[int], levels: int) -> list[Decimal]:
    """Cumulative frequencies, exact multiples of 2^-12 so that no division rounds."""
    counts = [sum(symbol == level for symbol in symbols) for level in range(levels)]
    scaled = [max(1, round(4096 * count / len(symbols))) if count else 0 for count in counts]
    scaled[scaled.index(max(scaled))] += 4096 - sum(scaled)
    return [Decimal(sum(scaled[:level])) / 4096 for level in range(levels + 1)]


def loop_errors(logits_NK: Tensor, labels_N: Tensor) -> int:
    """Mistakes, image by image."""
    errors = 0
    for logits_K, label in zip(logits_NK, labels_N, strict=True):
        order = torch.argsort(logits_K, descending=True)
        first, second = order[0].item(), order[1].item()
        errors += first != label.item() or logits_K[first].item() - logits_K[second].item() <= TIE
    return errors


def bisected(grows: Callable[[float], bool], low: float) -> float:
    """The point where a condition on p in [low, 1] turns false."""
    high = 1.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if grows(middle) else (low, middle)
    return high


def loop_bounds(seen: PriorComparison, code_bits: float, delta: float) -> dict[str, float]:
    """Five inequalities, in Python numbers."""
    n, k = seen.examples, seen.errors
    q, nats = k / n, code_bits * math.log(2) - math.log(delta)

    def within_kl(p: float) -> bool:
        return p < 1 and q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p)) <= nats / n

    def tail_is_large(p: float) -> bool:
        logs = [
            math.lgamma(n + 1)
            - math.lgamma(j + 1)
            - math.lgamma(n - j + 1)
            + j * math.log(p)
            + (n - j) * math.log1p(-p)
            for j in range(k + 1)
        ]
        return max(logs) + math.log(sum(math.exp(value - max(logs)) for value in logs)) >= -nats

    def catoni(step: int) -> float:
        g = 1.0001**step
        inner = q + 1.0001 / g * (nats + 2 * math.log(2 + step))
        return (1 - math.exp(-g / n * inner)) / (1 - math.exp(-g / n))

    deviation = math.sqrt(q * (1 - q) * n / (n - 1))
    return {
        "kl": bisected(within_kl, q),
        "binomial": bisected(tail_is_large, q),
        "catoni": min(1.0, min(catoni(step) for step in range(1, 140_000, 10))),
        "hoeffding": min(1.0, q + math.sqrt(nats / (2 * n))),
        "bernstein": min(
            1.0,
            q + deviation * math.sqrt(2 * (nats + math.log(2)) / n) + 7 * (nats + math.log(2)) / (3 * (n - 1)),
        ),
    }


# ---- the same work on both sides -------------------------------------------------------------------


def codec_work(symbols: int, coder: str) -> Work:
    """Encode and decode, and check what comes back."""
    rng = np.random.default_rng(symbols)
    drawn = np.clip(np.rint(rng.normal(5, 1.6, symbols)), 0, LEVELS - 1).astype(np.int32)
    codebook, message = fit_codebook(rng.standard_normal(1000), LEVELS, "uniform"), drawn.tolist()

    def ours() -> float:
        decoded = decode(encode(drawn, codebook))
        assert np.array_equal(decoded.symbols, drawn)
        return sum(charge.bits for charge in decoded.charges)

    def with_integers() -> float:
        bits = LoopCoder(LEVELS).encode(message)
        assert LoopCoder(LEVELS).decode(bits, symbols) == message
        return float(len(bits))

    def with_decimals() -> float:
        with localcontext() as context:
            context.prec = 4 * symbols
            bits = decimal_message(message, LEVELS)
            assert decimal_symbols(bits, decimal_edges(message, LEVELS), symbols) == message
            return float(len(bits))

    return ours, {"decimal": with_decimals, "integer": with_integers}[coder]


def decisions_work(images: int) -> Work:
    """Count mistakes from logits."""
    generator = torch.Generator().manual_seed(0)
    logits_NK = 3 * torch.randn(images, CLASSES, generator=generator)
    labels_N = logits_NK.add(torch.randn(images, CLASSES, generator=generator)).argmax(1)
    return lambda: decide(logits_NK, labels_N).errors, lambda: loop_errors(logits_NK, labels_N)


def evaluation_work(images: int) -> Work:
    """Count mistakes from images, with a small ResNet for 32 x 32 pixels."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(images, 3, 32, 32, generator=generator)
    torch.manual_seed(0)
    network = build_architecture("resnet", ResNetSettings(width=16, blocks=(1, 1, 1)), CLASSES, 3).eval()

    @torch.inference_mode()
    def logits(batch: int) -> Tensor:
        return torch.cat([network(part)[1] for part in pixels.split(batch)])

    labels_N = logits(512).add(0.1 * torch.randn(images, CLASSES, generator=generator)).argmax(1)
    return lambda: decide(logits(512), labels_N).errors, lambda: loop_errors(logits(1), labels_N)


def bounds_work(examples: int) -> Work:
    """Bounds over a grid of (d, L), with bits and mistakes that grow and fall as they do in practice."""
    grid = [(d, levels) for d in (4, 16, 64, 256) for levels in (3, 7)]
    cells = []
    for d, levels in grid:
        better = round(examples * 0.01 * math.log2(d))
        seen = PriorComparison(prior_errors=examples // 2, worse=better // 2, better=better, examples=examples)
        cells.append((seen, 12.0 + d * math.log2(levels)))

    def ours() -> list[dict[str, float]]:
        return [coded_claim(seen, code_bits, 0.05)["bounds"] for seen, code_bits in cells]

    return ours, lambda: [loop_bounds(seen, code_bits, 0.05) for seen, code_bits in cells]


# ---- measuring -------------------------------------------------------------------------------------


def seconds(action: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall time and processor time of one call, and its result."""
    start, start_of_process = time.perf_counter(), time.process_time()
    result = action()
    return time.perf_counter() - start, time.process_time() - start_of_process, result


def measure(work: Work, turns: int) -> dict[str, Any]:
    """Medians over turns, their ratios, and both results."""
    taken: dict[str, list[tuple[float, float, Any]]] = {"ours": [], "loop": []}
    for turn in range(turns + 1):
        for name, side in zip(taken, work, strict=True):
            times = seconds(side)
            if turn:
                taken[name].append(times)
    medians = [{name: statistics.median(row[i] for row in rows) for name, rows in taken.items()} for i in (0, 1)]
    wall_s, processor_s = medians
    return {
        "wall_s": wall_s,
        "ratio_by_wall_time": wall_s["loop"] / wall_s["ours"],
        "ratio_by_processor_time": processor_s["loop"] / processor_s["ours"],
        "results": {name: rows[-1][2] for name, rows in taken.items()},
    }


def largest_difference(ours: list[dict[str, float]], loop: list[dict[str, float]]) -> float:
    """Between the bounds that both sides evaluate."""
    cells = zip(ours, loop, strict=True)
    return max(abs(mine[name] - value) for mine, theirs in cells for name, value in theirs.items())


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default: 2)")
    parser.add_argument("--symbols", type=int, default=50_000, help="longest vector (default: 50000)")
    parser.add_argument("--images", type=int, default=10_000, help="images to decide on (default: 10000)")
    parser.add_argument("--turns", type=int, default=3, help="timed turns of each side (default: 3)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    images, turns = arguments.images, arguments.turns
    record = {"environment": environment_record(), "threads": arguments.threads}
    for coder, sizes in (("decimal", (500, 2_000)), ("integer", (2_000, 10_000, 50_000))):
        kept = [size for size in sizes if size <= arguments.symbols]
        record[f"codec_{coder}"] = [{"symbols": size, **measure(codec_work(size, coder), turns)} for size in kept]
    record["decisions"] = {"images": images, **measure(decisions_work(images), turns)}
    record["evaluation"] = {"images": images // 20, **measure(evaluation_work(images // 20), turns)}
    bounds = measure(bounds_work(images // 5), 1)
    difference = largest_difference(**bounds.pop("results"))
    record["bounds"] = {"examples": images // 5, **bounds, "largest_difference": difference}
    json.dump(record, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
