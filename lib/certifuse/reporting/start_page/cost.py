"""What the study cost to train, in sentences, from the measured times."""

from collections.abc import Iterator

import pandas as pd

from certifuse.reporting.frames import Frames
from certifuse.study.cells import FINETUNED, JOINT

NAMES = {JOINT: "joint trainings", FINETUNED: "fine-tunings of experts"}
OTHERS = "pre-trainings"


def cost_of_fusion(costs: pd.DataFrame) -> Iterator[str]:
    """Number and hours of trainings, by kind and device."""
    known = costs.dropna(subset=["training_wall_s"])
    if known.empty:
        yield "No training has a measured time."
        return
    kinds = known["training"].map(lambda training: NAMES.get(training, OTHERS))
    parts = [
        f"{hours_text(float(rows['training_wall_s'].sum()))} in {len(rows)} {kind}"
        for kind, rows in known.groupby(kinds, sort=False)
    ]
    devices = ", ".join(sorted(set(known["device"])))
    yield (
        f"The epochs of {len(known)} trainings took {hours_text(float(known['training_wall_s'].sum()))} on {devices}, "
        f"one after the other: {'; '.join(parts)}. Evaluation, certificates and reports are not counted."
    )
    if lacking := len(costs) - len(known):
        yield f"{lacking} trainings have no measured time."


def cost_of_language(frames: Frames) -> str:
    """Number and hours of the trainings of language models."""
    runs = frames.metrics.reindex(columns=["d", "mode", "seed", "training_wall_s"]).dropna().drop_duplicates()
    if runs.empty:
        return "No training of a language model has a measured time."
    spent = hours_text(float(runs["training_wall_s"].sum()))
    return f"The {len(runs)} trainings of language models took {spent}, one after the other."


def hours_text(seconds: float) -> str:
    """A duration in the unit that fits it."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
