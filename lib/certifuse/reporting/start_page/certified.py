"""What is certified, in sentences. Bounds are rounded up, and a vacuous one is called so."""

import pandas as pd

from certifuse.reporting.certificates.choice import best_first, count_priors, crossings, quoted
from certifuse.reporting.certificates.frames import JOINT, PRIOR, SUBSPACE
from certifuse.reporting.frames import records, rows_with
from certifuse.reporting.text import bound_text, deltas_text

VACUOUS_PERCENT = 100.0


def certified(certificates: pd.DataFrame) -> list[str]:
    """Counts of certificates that say something, the best one, what quoting it costs, and where training pays."""
    trained = rows_with(certificates, kind=SUBSPACE)
    if certificates.empty:
        return ["No certificate has been made."]
    said = [
        f"Each certificate holds by itself with probability 1 − δ, δ = {deltas_text(certificates['delta'])}, over the "
        "draw of its sample. A certified error of 100% says nothing: it is vacuous.",
        *(_counted(rows_with(certificates, kind=kind), name) for kind, name in KINDS.items()),
    ]
    if trained.empty:
        return [*said, "No trained subspace has a certificate."]
    best, priors = records(best_first(trained))[0], count_priors(trained)
    inequality, percent = quoted(best, priors)
    said.append(
        f"The lowest certified error of a trained network is {percent_text(best['bound_percent'])} "
        f"({best['architecture']}, {best['fusion']}, λ = {best['lambda']}, seed {best['seed']}, d = {best['d']:,}, "
        f"L = {best['levels']}; {best['errors']:,} errors on {best['examples']:,} images, {best['code_bits']:,.0f} "
        f"bits, {best['inequality'].replace('_', ' ')}). Quoted as the best of {priors} priors it is "
        f"{percent_text(percent)}, by {inequality.replace('_', ' ')}."
    )
    judged = [found for found in crossings(certificates) if found.margin_points is not None]
    pays = sum(found.crosses for found in judged)
    if judged:
        said.append(
            f"Training in a subspace is certified below its own prior, the average of the pre-trained experts, which "
            f"costs no bits, in {pays} of {len(judged)} families of architecture, rule and seed."
        )
    return said


KINDS = {
    SUBSPACE: "trained subspaces",
    PRIOR: "priors (pre-trained experts, averaged; 0 bits)",
    JOINT: "jointly trained networks, coded as they are",
}


def percent_text(bound_percent: float) -> str:
    """A bound in percent, rounded up; one that says nothing is called vacuous."""
    return f"{bound_text(bound_percent, digits=2)}%" + (" (vacuous)" if bound_percent >= VACUOUS_PERCENT else "")


def _counted(rows: pd.DataFrame, name: str) -> str:
    if rows.empty:
        return f"Of {name} there is no certificate."
    telling = int((rows["bound_percent"] < VACUOUS_PERCENT).sum())
    lowest = percent_text(float(rows["bound_percent"].min()))
    vacuous = "none is vacuous" if telling == len(rows) else f"{len(rows) - telling} vacuous"
    return f"{len(rows)} of {name}: {vacuous}, the lowest certified error is {lowest}."
