"""The numbers of the SubLoRA tables: every configuration, what its bits are spent on, and where the bound shrank."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from certifuse.base.errors import UserError
from certifuse.reporting.fusion.runs import estimate
from certifuse.reporting.sublora.choice import BITS_PER_KB, HEADLINE, best_certificate, compared_levels
from certifuse.reporting.sublora.frames import IDENTITY, NGRAM, SUBLORA, SubloraFrames, budgets_of, grid
from certifuse.reporting.sublora.modes import modes_in_order

Row = dict[str, Any]

CONFIGURATION = ["model", "d", "mode", "levels"]
MEASURED = {
    "bpd": "risk_bpd",
    "validation_bpd": "validation_bpd",
    "kl_nats": "kl_nats",
    "code_bits": "code_bits",
    "size_kb": "size_kb",
    "bound_published_bpd": "bound_published_bpd",
    "bound_bpd": HEADLINE,
    "deviation_bpd": "deviation_bpd",
    "top1_risk": "top1_risk",
    "top1_bound": "top1_bound",
}
WITH_INTERVAL = ("bpd", "validation_bpd", "bound_published_bpd", "bound_bpd")
_NAMES = ("model", "budget", "mode", "ratio", "levels")
_CERTIFICATE = ("model", "budget", "mode", "seed", "levels")
COLUMNS = {
    "summary_table": (
        *(
            *_NAMES,
            "compared",
            "seeds",
            "seed_list",
            "missing_seeds",
            "reason",
            "documents",
            "subsample",
            "vacuous_bpd",
        ),
        *("vacuous_seeds", *MEASURED, *(f"{name}_{end}" for name in WITH_INTERVAL for end in ("low", "high"))),
    ),
    "ledger": (*_CERTIFICATE, "charge", "bits", "share_percent"),
}
NO_LEDGER, TOTAL = "no ledger", "total"
MOST_BITS_APART = 1e-3


def summary_rows(frames: SubloraFrames, confidence: float) -> list[Row]:
    """One row per configuration, means over its seeds; one without a certificate has its reason and no number."""
    compared = {d: compared_levels(frames.metrics, d) for d in budgets_of(frames)}
    metrics = frames.metrics.assign(size_kb=frames.metrics["code_bits"] / BITS_PER_KB)
    rows = []
    for configuration in configurations(frames):
        done, missing = _of(metrics, configuration), _of(frames.missing, configuration)
        d = _number(configuration["d"])
        named = {"model": configuration["model"], "budget": d, "mode": configuration["mode"]}
        levels = _number(configuration["levels"])
        marked = int(d is not None and configuration["model"] == SUBLORA and levels == compared.get(d))
        lacking = {"missing_seeds": len(missing), "reason": "; ".join(missing["reason"].unique())}
        rows.append(named | {"levels": levels, "compared": marked} | _means(done, confidence) | lacking)
    return rows


def ledger_rows(frames: SubloraFrames, ledgers: pd.DataFrame) -> list[Row]:
    """The charges of the certificate with the lowest bound of every model, budget and mode, and their total.

    Raises:
        UserError: the charges of a certificate do not add up to its code length.
    """
    rows: list[Row] = []
    seen = set()
    for configuration in configurations(frames):
        key = (configuration["model"], _number(configuration["d"]), configuration["mode"])
        if key in seen:
            continue
        seen.add(key)
        best = best_certificate(_of(frames.metrics, {name: configuration[name] for name in ("model", "d", "mode")}))
        if best is not None:
            rows += _spent(best.row, _of(ledgers, {name: best.row[name] for name in IDENTITY}))
    return rows


def configurations(frames: SubloraFrames) -> list[Mapping[Hashable, Any]]:
    """Every (model, d, mode, levels) that the study asked for: by budget, modes in order; n-gram tables last."""
    asked = grid(frames)[CONFIGURATION].drop_duplicates()
    order = {mode: place for place, mode in enumerate(modes_in_order(asked["mode"]))}
    keys = asked.assign(
        _ngram=asked["model"] == NGRAM, _none=asked["d"].isna(), _mode=asked["mode"].map(order), _d=asked["d"].fillna(0)
    )
    ordered = keys.sort_values(["_ngram", "_none", "_d", "_mode", "levels"])
    found: list[Mapping[Hashable, Any]] = ordered[CONFIGURATION].to_dict("records")
    return found


def _means(rows: pd.DataFrame, confidence: float) -> Row:
    if rows.empty:
        return {"seeds": 0}
    first = rows.iloc[0]
    seeds = sorted(int(seed) for seed in rows["seed"].dropna())
    vacuous = rows[HEADLINE] >= rows["vacuous_bpd"]
    found: Row = {"ratio": None if pd.isna(first["ratio"]) else first["ratio"], "seeds": len(rows)}
    found |= {"seed_list": " ".join(map(str, seeds)), "vacuous_seeds": int(vacuous.sum())}
    found |= {name: first[name] for name in ("documents", "subsample", "vacuous_bpd")}
    for name, column in MEASURED.items():
        mean = estimate(rows[column], confidence)
        found[name] = None if mean is None else mean.mean
        if name in WITH_INTERVAL and mean is not None:
            found |= {f"{name}_low": mean.low, f"{name}_high": mean.high}
    return found


def _spent(certificate: Mapping[Hashable, Any], charges: pd.DataFrame) -> list[Row]:
    """A row per charge and their total; one that says so where there is no ledger."""
    names = {"model": certificate["model"], "budget": _number(certificate["d"]), "mode": certificate["mode"]}
    names |= {name: _number(certificate[name]) for name in ("seed", "levels")}
    code_bits = float(certificate["code_bits"])
    if charges.empty:
        return [names | {"charge": NO_LEDGER}]
    if abs(charges["bits"].sum() - code_bits) > MOST_BITS_APART:
        raise UserError(
            f"ledger of {', '.join(f'{key} {value}' for key, value in names.items())}: expected charges of "
            f"{code_bits:.6g} bits together, found {charges['bits'].sum():.6g}: gather the study again"
        )
    spent = [*zip(charges["charge"], charges["bits"], strict=True), (TOTAL, code_bits)]
    share = 100 / code_bits if code_bits else 0.0
    return [names | {"charge": name, "bits": bits, "share_percent": share * bits} for name, bits in spent]


def _of(rows: pd.DataFrame, key: Mapping[Hashable, Any]) -> pd.DataFrame:
    """The rows with these values, where two absent numbers are equal."""
    chosen = pd.Series(True, index=rows.index)
    for name, value in key.items():
        same = rows[name].isna() if pd.isna(value) else (rows[name] == value).fillna(False)
        chosen &= same.astype(bool)
    return rows[chosen]


def _number(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)
