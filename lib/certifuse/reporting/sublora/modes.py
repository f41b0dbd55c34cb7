"""The allocation modes of the SubLoRA study: their order, names and looks, the same in every figure and table."""

import re
from collections.abc import Iterable, Sequence

from certifuse.reporting import plot
from certifuse.study.settings.figures import FigureSettings

UNIFORM, PROPORTIONAL, LEARNED = "uniform", "proportional", "learned"
BASELINES = (PROPORTIONAL, UNIFORM)
"""What the other modes are compared with; the one with most certificates is the reference of the figures."""

LORA_ONLY = "lora_only"
REFERENCES = (LORA_ONLY, "subspace_only")
"""Models without a subspace, whose d is the number of all LoRA weights, and models without LoRA."""
NULLS = {
    "learned_refixed": "learned splits retrained",
    "learned_permuted": "learned splits permuted",
    "learned_random": "random gates",
}
"""What learned gates are compared with, from the mildest to the strongest change."""

EQUAL_SHARE = 0.5
_FIXED = re.compile(r"fixed_([0-9.]+)")
_NAMED_ORDER = (PROPORTIONAL, LEARNED, *REFERENCES, *NULLS, "unigram", "bigram")
_FIXED_COLOURS, _FIXED_MARKERS = (4, 5, 1), ("<", "s", ">", "^", "v")
_PLACES = {UNIFORM: (0, "o"), PROPORTIONAL: (2, "D"), LEARNED: (3, "P")}
_PLACES |= {null: (3, marker) for null, marker in zip(NULLS, "ph8", strict=True)}
_REFERENCE_MARKERS = dict(zip(REFERENCES, "Xd", strict=True))


def fixed_share(mode: str) -> float | None:
    """The share of the budget that a fixed mode gives to B; None of other modes."""
    found = _FIXED.fullmatch(mode)
    return float(found[1]) if found else None


def is_allocation(mode: str) -> bool:
    """True where the mode divides a budget: neither a null nor a model without subspace or without LoRA."""
    return mode not in REFERENCES and mode not in NULLS


def is_asymmetric(mode: str) -> bool:
    """True where A and B get shares that are neither equal nor those of a baseline by rule."""
    share = fixed_share(mode)
    return mode == LEARNED or (share is not None and share != EQUAL_SHARE)


def modes_in_order(modes: Iterable[str]) -> list[str]:
    """Each mode once: uniform, the fixed ones by their share, others in the library's order, n-gram tables last."""

    def place(mode: str) -> tuple[float, float, str]:
        share = fixed_share(mode)
        if mode == UNIFORM:
            return 0, 0, mode
        if share is not None:
            return 1, share, mode
        known = mode in _NAMED_ORDER
        return (2, _NAMED_ORDER.index(mode), mode) if known else (3, 0, mode)

    return sorted(set(modes), key=place)


def mode_label(mode: str) -> str:
    """The name of a mode as figures and tables write it."""
    return NULLS.get(mode, mode.replace("_", " ").replace("lora", "LoRA"))


def modes_in_words(modes: Iterable[str]) -> str:
    """Each mode once, in order."""
    return ", ".join(map(mode_label, modes_in_order(modes)))


def mode_looks(modes: Iterable[str], style: FigureSettings) -> dict[str, plot.Look]:
    """The look of every mode of a study, in order; neighbours differ."""
    ordered = modes_in_order(modes)
    fixed = [mode for mode in ordered if fixed_share(mode) is not None]
    return {
        mode: plot.Look(*_colour_and_marker(mode, fixed, style), plot.LINES[rank % len(plot.LINES)], mode not in NULLS)
        for rank, mode in enumerate(ordered)
    }


def _colour_and_marker(mode: str, fixed: Sequence[str], style: FigureSettings) -> tuple[str, str]:
    if mode in fixed:
        rank = fixed.index(mode)
        return style.palette[_FIXED_COLOURS[rank % len(_FIXED_COLOURS)]], _FIXED_MARKERS[rank % len(_FIXED_MARKERS)]
    if mode in _PLACES:
        colour, marker = _PLACES[mode]
        return style.palette[colour], marker
    return style.baseline_colour, _REFERENCE_MARKERS.get(mode, ".")


def mode_legend(modes: Iterable[str], looks: dict[str, plot.Look]) -> plot.Legend:
    """Their entries of a legend, in order."""
    return {mode_label(mode): {"ms": 5.5, **looks[mode].mark} for mode in modes_in_order(modes)}
