"""The language models behind certificates: what is coded of them, and what their bitstreams decode to."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from certifuse.base.errors import UserError
from certifuse.base.tensors import digest_tensors
from certifuse.certificates.coding.codec import decode, encode, join_messages, part_messages
from certifuse.certificates.coding.split_code import decode_splits, encode_splits, rounding_charge
from certifuse.certificates.language.certificate import SubloraDescription
from certifuse.certificates.language.ngram import (
    CodedNgram,
    decode_bigram,
    decode_unigram,
    encode_bigram,
    encode_unigram,
    uniform_model,
)
from certifuse.data.text.corpus import Documents
from certifuse.data.text.tokenisers import Vocabulary
from certifuse.data.text.windows import FlatDocuments, WindowRule, flatten
from certifuse.evaluation.bounds.ledger import Charge, Ledger, selection_charge
from certifuse.evaluation.language.token_scores import LanguageModel, TokenScores, score_tokens
from certifuse.models.compute.runtime import Runtime
from certifuse.models.subspace.allocation import AllocatedNetwork, Structure
from certifuse.models.subspace.codebook import Kind, nearest_level
from certifuse.models.subspace.quantisation import as_numbers, fit_codebook
from certifuse.models.subspace.trained_vector import TrainedVector, network_at_start
from certifuse.study.cells import SubloraCell
from certifuse.study.settings.language_models import LanguageModelSettings
from certifuse.study.settings.sublora import SubloraBounds, SubloraTraining, allocation_of

Tokens = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class DecodedModel:
    """A model that came out of a bitstream: `ledger` is what that spent, `score` scores documents (int (T,) each).

    `levels` are those of w; None of a table of counts.
    """

    levels: int | None
    ledger: Ledger
    score: Callable[[Sequence[Tokens]], TokenScores]


# ---- networks ------------------------------------------------------------------------------------


def decoder_settings(model: LanguageModelSettings) -> LanguageModelSettings:
    """The settings of a network that a decoder needs: neither the name of its size nor dropout."""
    return model.model_copy(update={"size": None, "lora": model.lora.model_copy(update={"dropout": 0.0})})


def described_start(
    description: SubloraDescription, cell: SubloraCell, vocabulary: Vocabulary, device: torch.device | str = "cpu"
) -> AllocatedNetwork:
    """theta0 and P of a certificate. UserError unless theta0 is the very one that was certified."""
    start = start_of(description.network, description.projector, cell, vocabulary, device)
    found = digest_tensors(start.network.state_dict())
    if found != description.theta0_sha256:
        raise UserError(
            f"theta0: expected SHA-256 {description.theta0_sha256}, found {found}: the start was not regenerated; "
            "use the NumPy version of the certificate's environment"
        )
    return start


def start_of(
    network: LanguageModelSettings, projector: Any, cell: SubloraCell, vocabulary: Vocabulary,
    device: torch.device | str = "cpu",
) -> AllocatedNetwork:  # fmt: skip
    """The network at w = 0, as training and decoding build it."""
    allocation = allocation_of(cell.mode, SubloraTraining(projector=projector))
    return network_at_start(network, allocation, cell, vocabulary.inputs, device)


def encode_sublora(trained: TrainedVector, start: AllocatedNetwork, codebook: Kind) -> bytes:
    """The bitstream of w on its levels; where splits were learned, they are a second message behind it."""
    assert trained.levels is not None, "w at full precision has no levels"
    w_d = as_numbers(trained.w_d)
    fitted = fit_codebook(w_d, trained.levels, codebook)
    vector = encode(nearest_level(w_d, fitted), fitted)
    ranges = split_ranges(start)
    return join_messages(vector, encode_splits(trained.structure.splits, ranges)) if ranges else vector


def decode_sublora(
    bitstream: bytes, start: AllocatedNetwork, cell: SubloraCell, vocabulary: Vocabulary, terms: SubloraBounds,
    runtime: Runtime,
) -> DecodedModel:  # fmt: skip
    """The model of a bitstream, from theta0 and P, which are put at the decoded splits and w.

    UserError where the bitstream is damaged or of another model.
    """
    ranges = split_ranges(start)
    vector, splits = part_messages(bitstream, "w and its splits") if ranges else (bitstream, b"")
    coded = decode(vector, longest=cell.d)
    allocation = allocation_of(cell.mode, SubloraTraining())
    structure = Structure(
        mode=allocation.mode, ratio=allocation.ratio, splits=decode_splits(splits, ranges) if ranges else ()
    )
    start.restore(structure, torch.from_numpy(coded.values).to(runtime.device))
    rounding = (rounding_charge(ranges),) if ranges else ()
    network = start.network_at(start.vector)
    model = LanguageModel(network, network.hidden_states, network.logits, vocabulary.size)
    rule = WindowRule(context=network.context, stride=terms.stride or network.context)

    def score(documents: Sequence[Tokens]) -> TokenScores:
        return score_tokens(model, documents, rule, vocabulary.start_token, runtime.device, terms.batch_tokens)

    return DecodedModel(coded.codebook.levels, Ledger((*coded.charges, *structure_charges(start), *rounding)), score)


def structure_charges(network: AllocatedNetwork) -> tuple[Charge, ...]:
    """Ledger rows of what is told beside w: mode and ratio (`fixed`), agreed by the name of the cell, and each k_l.

    A split k_l costs log2 of the choices of its group.
    """
    agreed = ["allocation mode", *(["allocation ratio"] if network.structure.mode == "fixed" else [])]
    splits = (selection_charge(f"split of {own.name}", own.choices) for own in network.budgets)
    return (*(Charge(name, 0.0) for name in agreed), *splits)


def split_ranges(start: AllocatedNetwork) -> list[range]:
    """The possible splits of every group of mode `learned`; none in the other modes."""
    return [range(budget.lowest, budget.highest + 1) for budget in start.budgets]


# ---- tables of counts ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FlatParts:
    """Documents as their counts need them, some at a time, as often as they are gone through."""

    documents: Documents
    vocabulary: Vocabulary
    part_tokens: int = 1 << 22

    def __iter__(self) -> Iterator[FlatDocuments]:
        offsets, first = self.documents.offsets, 0
        while first < len(self.documents):
            fitting = int(np.searchsorted(offsets, offsets[first] + self.part_tokens, side="right")) - 1
            last = max(first + 1, fitting)
            part = [self.documents.document(index) for index in range(first, last)]
            yield flatten(part, self.vocabulary.start_token, self.vocabulary.size)
            first = last


def encode_ngram(name: str, documents: Documents, vocabulary: Vocabulary) -> bytes:
    """The bitstream of a table of the counts of `documents`; none for `uniform`."""
    encoders = {"unigram": encode_unigram, "bigram": encode_bigram}
    return encoders[name](FlatParts(documents, vocabulary), vocabulary.size) if name in encoders else b""


def decode_ngram(name: str, bitstream: bytes, vocabulary: Vocabulary) -> DecodedModel:
    """The model of its bitstream. UserError where that is damaged or of another table."""
    coded = _decoded_table(name, bitstream, vocabulary)
    return DecodedModel(None, coded.ledger, lambda documents: coded.model.score(documents, vocabulary.start_token))


def _decoded_table(name: str, bitstream: bytes, vocabulary: Vocabulary) -> CodedNgram:
    if name == "unigram":
        return decode_unigram(bitstream, vocabulary.size)
    if name == "bigram":
        return decode_bigram(bitstream, vocabulary.size, vocabulary.start_token)
    if name != "uniform" or bitstream:
        raise UserError(
            f"bitstream: expected that of uniform, unigram or bigram, found {len(bitstream)} bytes of {name}"
        )
    return CodedNgram(uniform_model(vocabulary.size), Ledger())
