"""Sentences that the figures of the certificates share: the sample, and what is not there."""

from collections.abc import Sequence

import pandas as pd

from certifuse.reporting.certificates.frames import SUBSPACE, Panel
from certifuse.reporting.frames import rows_with
from certifuse.reporting.text import counts_text, deltas_text, lambda_text


def sample_note(certificates: pd.DataFrame) -> str:
    """The size of the certificate sample and the confidence at which a certificate holds."""
    sizes, deltas = counts_text(certificates["examples"]), deltas_text(certificates["delta"])
    return f"n = {sizes} images, δ = {deltas} for each certificate by itself."


def lambda_note(panels: Sequence[Panel]) -> str:
    """The lambda at which the rules stand, with those that stand at another one."""
    return f"{lambda_text([(f'{panel.architecture} {panel.fusion}', panel.lam) for panel in panels])}."


def seeds_note(certificates: pd.DataFrame) -> str:
    """The warning that a mean over seeds certifies nothing; no sentence where there is one seed."""
    several = certificates["seed"].nunique() > 1
    return "Lines join means over seeds, which certify nothing: a certificate is of one model." if several else ""


def held_out_note(certificates: pd.DataFrame) -> str:
    """The size of the held-out set, and the number of models that lack a certificate on it."""
    if certificates.empty:
        return ""
    lacking = int(certificates["held_out_bound_percent"].isna().sum())
    if lacking == len(certificates):
        return "No held-out certificates: the study keeps no set that training and selection left alone."
    some = f" {lacking} of {len(certificates)} models have none." if lacking else ""
    return (
        f"Held-out certificates: {counts_text(certificates['held_out_examples'].dropna())} other images, 0 bits.{some}"
    )


def gaps_note(certificates: pd.DataFrame, panels: Sequence[Panel]) -> str:
    """The number of (d, L) of the shown panels and seeds without a certificate; no sentence where all have one."""
    trained = rows_with(certificates, kind=SUBSPACE)
    everything = len(trained[["d", "levels"]].drop_duplicates()) * trained["seed"].nunique() * len(panels)
    missing = everything - sum(len(panel.trained) for panel in panels)
    why = "not asked for, or see missing_certificates.csv"
    return f"{missing} of {everything} (d, L, seed) have no certificate: {why}." if missing else ""
