"""What a certificate of a language model charges for the structure beside w."""

import math

import pytest

from certifuse.certificates.language.model import structure_charges
from certifuse.models.subspace.modes import MODES, build_sublora
from certifuse.study.settings.language_models import AllocationSettings, LanguageModelSettings, LoraSettings

MODEL = LanguageModelSettings(layers=2, heads=2, width=8, context=6, lora=LoraSettings(rank=2, alpha=16.0))


def hardened(mode):
    settings = AllocationSettings(mode=mode, **({"ratio": 0.2} if mode == "fixed" else {}))
    budget = None if mode == "lora_only" else 20
    network = build_sublora(MODEL, settings, vocabulary=13, budget=budget, seed=0)
    network.anneal(1.0)
    return network


def charged(mode):
    return {charge.name: charge.bits for charge in structure_charges(hardened(mode))}


def test_learned_splits_cost_the_choices_of_their_groups():
    """d = 20 is shared as 8, 7 and 5, and a group of d_l directions has d_l + 1 splits."""
    choices = {"layer_0": 9, "layer_1": 8, "head": 6}
    splits = {f"split of {name}": math.log2(count) for name, count in choices.items()}
    assert charged("learned") == {"allocation mode": 0.0, **splits}


def test_a_ratio_is_a_row_and_costs_nothing():
    assert charged("fixed") == {"allocation mode": 0.0, "allocation ratio": 0.0}


@pytest.mark.parametrize("mode", sorted(set(MODES) - {"learned", "fixed"}))
def test_the_other_modes_have_nothing_to_tell_beside_their_name(mode):
    assert charged(mode) == {"allocation mode": 0.0}
