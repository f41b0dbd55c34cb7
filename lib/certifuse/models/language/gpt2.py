"""GPT-2 in the form of nanoGPT: separate query, key and value, no biases, a head tied to the token embedding.

Shapes: N sequences, T tokens, C width, H heads, c = C / H, V vocabulary.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from certifuse.base.machine import require_memory
from certifuse.base.randomness import numpy_stream
from certifuse.study.settings.language_models import LanguageModelSettings

EVERY_TOKEN = slice(None)
INIT_STD = 0.02


class Gpt2(nn.Module):
    """A causal transformer in pre-norm order (Radford et al. 2019), without dropout: its weights are frozen mostly.

    `build_gpt2` draws the weights; this constructor leaves that to torch.
    """

    def __init__(self, settings: LanguageModelSettings, vocabulary: int) -> None:
        super().__init__()
        self.context, self.vocabulary = settings.context, vocabulary
        self.token_embedding = nn.Embedding(vocabulary, settings.width)
        self.position_embedding = nn.Embedding(settings.context, settings.width)
        self.blocks = nn.ModuleList(Block(settings.width, settings.heads) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.width, bias=False)
        self.head: nn.Module = Head(settings.width, vocabulary, bias=False)
        self.tie_head()

    def tie_head(self) -> None:
        """Let the head use the token embedding (Press and Wolf 2017, arXiv 1608.05859)."""
        self.head.weight = self.token_embedding.weight

    def forward(self, tokens_NT: Tensor) -> Tensor:
        """The logits (N, T, V) of the token after each of int64 (N, T). ValueError where T exceeds the context."""
        return self.logits(self.hidden_states(tokens_NT))

    def hidden_states(self, tokens_NT: Tensor) -> Tensor:
        """The states that the head reads, (N, T, C)."""
        length = tokens_NT.shape[1]
        if length > self.context:
            raise ValueError(f"tokens: expected at most the context of {self.context}, got {length}")
        x_NTC = self.token_embedding(tokens_NT) + self.position_embedding.weight[:length]
        for block in self.blocks:
            x_NTC = block(x_NTC)
        hidden_NTC: Tensor = self.norm(x_NTC)
        return hidden_NTC

    def logits(self, hidden_NTC: Tensor, tokens: slice = EVERY_TOKEN) -> Tensor:
        """The logits of a range of the vocabulary, so that a scorer need not hold all V of them at once."""
        logits_NTV: Tensor = self.head(hidden_NTC, tokens)
        return logits_NTV


class Block(nn.Module):
    """`x + attention(norm(x))`, then `x + mlp(norm(x))`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, bias=False)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, bias=False)
        self.mlp = Mlp(width)

    def forward(self, x_NTC: Tensor) -> Tensor:
        """(N, T, C) to the same shape."""
        x_NTC = x_NTC + self.attention(self.attention_norm(x_NTC))
        output_NTC: Tensor = x_NTC + self.mlp(self.mlp_norm(x_NTC))
        return output_NTC


class Attention(nn.Module):
    """Causal self-attention, softmax(q k^T / sqrt(c)) v for each head, by the fused kernel of the device."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        # Three layers where nanoGPT has one: LoRA changes the query and the value, and not the key.
        self.query: nn.Module = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value: nn.Module = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x_NTC: Tensor) -> Tensor:
        """(N, T, C) to the same shape."""
        sequences, length, width = x_NTC.shape
        projected = (layer(x_NTC) for layer in (self.query, self.key, self.value))
        q_NHTc, k_NHTc, v_NHTc = (y_NTC.view(sequences, length, self.heads, -1).transpose(1, 2) for y_NTC in projected)
        mixed_NHTc = functional.scaled_dot_product_attention(q_NHTc, k_NHTc, v_NHTc, is_causal=True)
        output_NTC: Tensor = self.output(mixed_NHTc.transpose(1, 2).reshape(sequences, length, width))
        return output_NTC


class Mlp(nn.Sequential):
    """C to 4 C, GELU (exact), and back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 4 * width, bias=False)
        self.gelu = nn.GELU()
        self.contract = nn.Linear(4 * width, width, bias=False)


class Head(nn.Linear):
    """A linear layer that can be asked for some of its outputs."""

    def forward(self, hidden_NTC: Tensor, tokens: slice = EVERY_TOKEN) -> Tensor:
        """The logits of the tokens in a range, (N, T, V or fewer)."""
        return functional.linear(hidden_NTC, self.weight[tokens])


def build_gpt2(settings: LanguageModelSettings, vocabulary: int, seed: int) -> Gpt2:
    """theta0: a network on the CPU whose weights are a pure function of settings, vocabulary size and seed.

    Normal of standard deviation 0.02; over sqrt(2 layers) for the two matrices of a block that write to the residual
    path (GPT-2's scaling); norms start at one. Each tensor has a numpy stream of its own name, so every device and
    machine draws the same numbers, and nobody needs to store them.

    UserError where this machine has not the memory: a certificate of somebody else may describe any network.
    """
    with torch.device("meta"):
        network = Gpt2(settings, vocabulary)
    require_memory("the language model", sum(parameter.nbytes for parameter in network.parameters()))
    network.to_empty(device="cpu")
    network.tie_head()
    for name, parameter in network.named_parameters():
        residual = name.endswith(("attention.output.weight", "mlp.contract.weight"))
        std = INIT_STD / math.sqrt(2 * settings.layers) if residual else INIT_STD
        with torch.no_grad():
            if parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                draws = numpy_stream(seed, "gpt2", name).standard_normal(parameter.shape, dtype=np.float32)
                parameter.copy_(torch.from_numpy(draws)).mul_(std)
    return network
