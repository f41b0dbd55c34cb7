"""What the description of a language model may ask of a machine: looked at before anything of it is built.

A certificate of somebody else is a few thousand bytes and describes any network. The limits are those of what this
project can train and certify; what is below them and too much for this machine is refused by its memory.
"""

from certifuse.base.errors import UserError
from certifuse.base.machine import require_memory
from certifuse.data.text.tokenisers import Vocabulary
from certifuse.study.cells import SubloraCell
from certifuse.study.settings.language_models import LanguageModelSettings

LARGEST_WEIGHTS = 2 * 10**9
"""GPT-2 XL has 1.6 billion."""
LARGEST_CONTEXT = 16_384
"""Tokens; GPT-2 has 1,024."""
VOCABULARIES = {
    "bytes": Vocabulary(tokenizer="bytes", size=256, start_token=256),
    "gpt2": Vocabulary(tokenizer="gpt2", size=50_257, start_token=50_256),
}
STATES = 16
"""Numbers for each weight of a layer's row that a token holds at once: its state, query, key, value, and 4 + 4 of the
widest layer, with room."""


def check_network(network: LanguageModelSettings, cell: SubloraCell, inputs: int, batch_tokens: int) -> None:
    """UserError for a network, or numbers to steer it, beyond the limits or the memory of this machine.

    `inputs` are the rows of the input embedding; a batch has `batch_tokens`, or the one window that is longer.
    """
    if network.context > LARGEST_CONTEXT:
        raise UserError(f"model.network.context: expected at most {LARGEST_CONTEXT} tokens, found {network.context}")
    base, lora = base_weights(network, inputs), lora_weights(network, inputs)
    if base + lora > LARGEST_WEIGHTS:
        raise UserError(f"model.network: expected at most {LARGEST_WEIGHTS} weights, found {base + lora}")
    steered = base if cell.mode == "subspace_only" else lora
    if not 1 <= cell.d <= steered:
        raise UserError(f"identity.d: expected 1 to {steered} for the weights that are steered, found {cell.d}")
    held = max(batch_tokens, network.context) * network.width * STATES
    require_memory("the language model and a batch", 4 * (2 * (base + lora) + 4 * steered + held))


def check_vocabulary(vocabulary: Vocabulary) -> None:
    """UserError for a vocabulary that is no tokeniser's."""
    if vocabulary != VOCABULARIES.get(vocabulary.tokenizer):
        known = "; ".join(f"{name}: {own.size} tokens" for name, own in VOCABULARIES.items())
        raise UserError(f"corpus: expected the vocabulary of a known tokeniser ({known}), found {vocabulary}")


def base_weights(network: LanguageModelSettings, inputs: int) -> int:
    """The weights of a network without LoRA: a block has four matrices for attention, eight for its MLP, two norms."""
    width = network.width
    return network.layers * (12 * width**2 + 2 * width) + width * (1 + inputs + network.context)


def lora_weights(network: LanguageModelSettings, inputs: int) -> int:
    """The numbers in all LoRA matrices of query, value and head."""
    return network.lora.rank * (network.layers * 4 * network.width + network.width + inputs)
