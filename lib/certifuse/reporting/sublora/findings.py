"""Findings of the page beside its tests: the setting, who dominates whom, what is certified and what is missing."""

import pandas as pd

from certifuse.reporting.frames import Frames, records, rows_with
from certifuse.reporting.sublora.choice import (
    HEADLINE,
    PUBLISHED,
    best_first,
    compared_levels_in_words,
    compared_rows,
)
from certifuse.reporting.sublora.frames import NGRAM, budgets_of, grid, of_models
from certifuse.reporting.sublora.modes import EQUAL_SHARE, fixed_share, is_asymmetric, mode_label, modes_in_order
from certifuse.reporting.sublora.notes import missing_reasons
from certifuse.reporting.sublora.questions import learned_budgets, learned_gates
from certifuse.reporting.sublora.quoting import PAID, each_by_itself, quoted_text, scored_text
from certifuse.reporting.text import bound_text


def setting(frames: Frames) -> list[str]:
    """The certificates and their sample, and the number of levels at which modes are compared."""
    metrics = frames.metrics
    if metrics.empty:
        return ["No certificate has been made yet."]
    first, models = metrics.iloc[0], of_models(metrics)
    where = compared_levels_in_words(metrics, budgets_of(frames))
    said = (
        f"{len(models)} certificates of language models and {len(metrics) - len(models)} of coded n-gram tables. "
        f"m = {first['documents']:,} documents, {scored_text(metrics['subsample'])}, "
        f"V = {first['vocabulary']:,}, delta = {first['delta']:g} {each_by_itself(metrics['subsample'])}. "
        "Losses are in bits per token (BPD)."
    )
    rule = "the number of levels with the lowest mean of our bound over all allocations."
    return [said, *([f"Modes are compared at {where}: {rule}"] if where else [])]


def domination(frames: Frames) -> list[str]:
    """Counts of seeds where an asymmetric mode has no more bits and less risk than the equal split, or the reverse."""
    counted = []
    for d in budgets_of(frames):
        rows = compared_rows(frames.metrics, d)
        equal = rows[rows["mode"].map(fixed_share) == EQUAL_SHARE]
        for mode in filter(is_asymmetric, modes_in_order(rows["mode"])):
            both = rows[rows["mode"] == mode].merge(equal, on="seed", suffixes=("", "_equal"))
            bits, risk = (both[name] - both[f"{name}_equal"] for name in ("code_bits", "risk_bpd"))
            better, worse = ((bits <= 0) & (risk < 0)).sum(), ((bits >= 0) & (risk > 0)).sum()
            if len(both):
                counted.append(f"{mode_label(mode)} at d = {d:,}: {better} for, {worse} against, of {len(both)}")
    if not counted:
        return []
    return [
        "Beside the equal split (fixed 0.5): seeds in which a mode has at most as many bits and less risk (for), and "
        f"seeds in which the equal split has (against). {'; '.join(counted)}."
    ]


def gates(gates: pd.DataFrame) -> list[str]:
    """The range of the learned gates at each budget, and the steps in which a gate can move."""
    said = []
    for d in learned_budgets(gates):
        gamma, budget = (learned_gates(gates, d)[name] for name in ("gamma", "budget"))
        said.append(
            f"At d = {d:,} gamma lies between {gamma.min():.3f} and {gamma.max():.3f}; a group has "
            f"{budget.min():,} to {budget.max():,} directions, and gamma moves in steps of one of them."
        )
    return said


def bounds(metrics: pd.DataFrame) -> list[str]:
    """The count of bounds that are not vacuous, the best, what quoting it costs, and the n-gram tables beside it."""
    models = of_models(metrics)
    if models.empty:
        return ["No language model has a certificate."]
    best, vacuous = best_first(models).iloc[0], float(metrics["vacuous_bpd"].max())
    ours, published = (int((models[column] < models["vacuous_bpd"]).sum()) for column in (HEADLINE, PUBLISHED))
    shrank = models[PUBLISHED] - models[HEADLINE]
    said = [
        f"Below the vacuous line of log2 V = {vacuous:.4g}: {ours} of {len(models)} certificates by our "
        f"bound, {published} by the published one.",
        f"The lowest bound of ours is {bound_text(best[HEADLINE])} (published inequality on the same bitstream: "
        f"{bound_text(best[PUBLISHED])}, and {bound_text(best[PAID])} where it pays for its smoothing in both steps; "
        f"risk {best['risk_bpd']:.3f}, {best['code_bits']:,.0f} bits, deviation of a document's loss "
        f"{best['deviation_bpd']:.3f}): {mode_label(best['mode'])}, d = {best['d']:,}, L = {best['levels']}, "
        f"seed {best['seed']}; {quoted_text(best)}.",
        f"From the published bound to ours the certificates of language models shrank by {shrank.mean():.3f} on "
        f"average ({shrank.min():.3f} to {shrank.max():.3f}).",
    ]
    for table in records(rows_with(metrics, model=NGRAM).sort_values(HEADLINE)):
        than = "below" if best[HEADLINE] < table[HEADLINE] else "not below"
        said.append(
            f"Coded {table['mode']} table: risk {table['risk_bpd']:.3f}, {table['code_bits']:,.0f} bits, our bound "
            f"{bound_text(table[HEADLINE])}; the best language model's bound is {than} it."
        )
    return said


def missing(frames: Frames) -> list[str]:
    """The number of missing certificates, and why; nothing where all are there."""
    if frames.missing.empty:
        return []
    reasons = "; ".join(missing_reasons(frames.missing, most=len(frames.missing)))
    return [f"{len(frames.missing)} of {len(grid(frames))} certificates: {reasons}."]
