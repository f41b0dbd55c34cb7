"""Two results directories beside each other: accuracies, bounds and settings."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certifuse.base.errors import UserError
from certifuse.base.manifest import read_manifest
from certifuse.cli.provenance.records import Records
from certifuse.cli.render import shortened, table
from certifuse.evaluation.images.predictions import load_predictions
from certifuse.evaluation.statistics import holm, paired_bootstrap, t_interval
from certifuse.reporting.certificates.frames import SCHEMAS as CERTIFICATE_SCHEMAS
from certifuse.reporting.frames import Schema, read_frame, records
from certifuse.reporting.fusion.frames import SCHEMAS as FUSION_SCHEMAS
from certifuse.reporting.predictors import FINETUNED, FUSED, predictor_name
from certifuse.reporting.sublora.frames import SCHEMAS as LANGUAGE_SCHEMAS
from certifuse.reporting.text import bound_text, interval, p_value, signed
from certifuse.study import paths
from certifuse.study.cells import BASELINE
from certifuse.study.settings.evaluation import StatisticsSettings

Row = dict[str, Any]
CELL = ("architecture", "fusion", "lambda", "predictor")
COMPARED = (FUSED, FINETUNED)
ACCURACIES = (*CELL, "seeds", "A (%)", "B (%)", "B - A (points)", "interval", "t interval", "p (Holm)", "verdict")
CANNOT_TELL, ABSENT = "cannot tell", "absent"
VALUE_WIDTH = 48


@dataclass(frozen=True)
class Bounds:
    """Certificates that can stand side by side: their table, what names one, its bound and the digits to show."""

    path: str
    schema: Schema
    names: tuple[str, ...]
    bound: str
    digits: int


BOUNDS = (
    Bounds(
        paths.CERTIFICATES,
        CERTIFICATE_SCHEMAS["certificates"],
        ("scheme", "architecture", "fusion", "lambda", "seed", "kind", "d", "levels"),
        "bound_percent",
        2,
    ),
    Bounds(
        paths.SUBLORA_METRICS,
        LANGUAGE_SCHEMAS["metrics"],
        ("model", "d", "mode", "seed", "levels"),
        "bound_best_bpd",
        3,
    ),
)


@dataclass(frozen=True)
class Results:
    """The results directory of a study."""

    directory: Path

    @cached_property
    def runs(self) -> Records:
        """The runs that left a manifest."""
        return Records(self.directory.resolve())

    def rows(self, path: str, schema: Schema) -> pd.DataFrame | None:
        """A gathered table; None where the study has none."""
        file = self.directory / path
        return read_frame(file, schema) if file.is_file() else None

    def tested(self, cell: Mapping[str, Any], seed: int) -> "Tested | None":
        """What a predictor got right, from its stored predictions; None where there are none."""
        template = paths.BASELINE_METRICS if cell["fusion"] == BASELINE else paths.CELL_METRICS
        directory = self.directory / template.format(**cell, seed=seed)
        if not (directory / paths.PREDICTIONS_FILE).is_file():
            return None
        stored = load_predictions(directory / paths.PREDICTIONS_FILE)
        if (predicted := stored.get(f"{cell['predictor']}/predicted")) is None:
            return None
        images = read_manifest(directory / paths.MANIFEST_FILE)["data_sha256"].get("images", [])
        return Tested(tuple(images), stored["labels"].numpy(), predicted.numpy())


@dataclass(frozen=True)
class Tested:
    """Digests of the images, labels (N,) of the test images, and the classes that were predicted for them (N,)."""

    images: tuple[str, ...]
    labels_N: NDArray[Any]
    predicted_N: NDArray[Any]

    @property
    def right(self) -> NDArray[np.bool_]:
        """True where the prediction is right."""
        right_N: NDArray[np.bool_] = self.predicted_N == self.labels_N
        return right_N

    def shares_images(self, other: "Tested") -> bool:
        """True where both were tested on the same images."""
        return bool(self.images) and self.images == other.images and np.array_equal(self.labels_N, other.labels_N)


def comparison(study_a: Path, study_b: Path, confidence: float) -> dict[str, Any]:
    """What two results directories have in common, as plain values: `accuracies`, `bounds` and `settings`.

    Raises:
        UserError: a directory is none of a study, a file is not as it was written, or an older version wrote it.
    """
    both = Results(study_a), Results(study_b)
    for results in both:
        _check(results)
    return {
        "accuracies": accuracies(*both, confidence),
        "bounds": {bounds.bound: bound_rows(*both, bounds) for bounds in BOUNDS},
        "settings": setting_rows(*both),
    }


def _check(results: Results) -> None:
    known = (paths.SUMMARY, *(bounds.path for bounds in BOUNDS))
    if not any((results.directory / path).is_file() for path in known):
        expected = f"expected the results directory of a study, with {' or '.join(known)}"
        raise UserError(f"{results.directory}: {expected}, found none of them: run the study, or check the path")
    if results.runs.outdated is not None:
        raise UserError(f"{results.directory}: {results.runs.outdated}")


# ---- accuracies ----------------------------------------------------------------------------------


def accuracies(a: Results, b: Results, confidence: float) -> list[Row]:
    """A row for every cell, and every control, that both studies have a score of."""
    tables = [results.rows(paths.SUMMARY, FUSION_SCHEMAS["summary"]) for results in (a, b)]
    if any(rows is None for rows in tables):
        return []
    scores = [_top1(rows) for rows in tables if rows is not None]
    rows = [
        _compared(a, b, dict(zip(CELL, cell, strict=True)), *of_cell, confidence)
        for cell in scores[0]
        if cell in scores[1]
        for of_cell in [(scores[0][cell], scores[1][cell])]
    ]
    paired = [row for row in rows if "p_value" in row]
    for row, adjusted in zip(paired, holm([row["p_value"] for row in paired]), strict=True):
        row["p_holm"] = float(adjusted)
        row["verdict"] = _verdict(row, confidence)
    return rows


def _top1(summary: pd.DataFrame) -> dict[tuple[str, ...], "pd.Series[float]"]:
    """Top-1 accuracy of every cell and control by seed, percent."""
    chosen = summary[(summary["metric"] == "top1_percent") & summary["predictor"].isin(COMPARED)]
    return {cell: rows.set_index("seed")["value"] for cell, rows in chosen.groupby([*CELL], sort=False)}


def _compared(
    a: Results, b: Results, cell: Row, of_a: "pd.Series[float]", of_b: "pd.Series[float]", confidence: float
) -> Row:
    seeds = sorted(set(of_a.index) & set(of_b.index))
    if not seeds:
        return cell | {"seeds": 0, "verdict": "no seed in common"}
    differences = (of_b[seeds] - of_a[seeds]).to_numpy(float)
    row = cell | {"seeds": len(seeds), "a_percent": float(of_a[seeds].mean()), "b_percent": float(of_b[seeds].mean())}
    row["difference_points"] = float(differences.mean())
    tested = [(a.tested(cell, seed), b.tested(cell, seed)) for seed in seeds]
    stored = [(one, other) for one, other in tested if one is not None and other is not None]
    if len(stored) < len(seeds):
        return row | {"verdict": "not paired: predictions are not stored"}
    if not all(one.shares_images(other) and one.shares_images(stored[0][0]) for one, other in stored):
        return row | {"verdict": "not paired: other test images"}
    right_a, right_b = (np.stack([pair[side].right for pair in stored]) for side in (0, 1))
    defaults = StatisticsSettings()
    found = paired_bootstrap(right_b, right_a, defaults.bootstrap_samples, confidence, defaults.seed)
    over_seeds = t_interval(differences, confidence)
    return row | {
        "low_points": 100 * found.low,
        "high_points": 100 * found.high,
        "t_low_points": over_seeds.low,
        "t_high_points": over_seeds.high,
        "p_value": found.p_value,
    }


def _verdict(row: Row, confidence: float) -> str:
    low, high = row["t_low_points"], row["t_high_points"]
    if row["p_holm"] >= 1 - confidence or (low is not None and low <= 0 <= high):
        return CANNOT_TELL
    return "B more accurate" if row["difference_points"] > 0 else "A more accurate"


# ---- certificates --------------------------------------------------------------------------------


def bound_rows(a: Results, b: Results, bounds: Bounds) -> list[Row]:
    """The bounds of every certificate that both studies have."""
    tables = [results.rows(bounds.path, bounds.schema) for results in (a, b)]
    if any(rows is None for rows in tables):
        return []
    shown = [rows[[*bounds.names, bounds.bound]] for rows in tables if rows is not None]
    return records(shown[0].merge(shown[1], on=[*bounds.names], suffixes=("_a", "_b")))


# ---- settings ------------------------------------------------------------------------------------


def setting_rows(a: Results, b: Results) -> list[Row]:
    """Every setting that differs between jobs of the same name, and how many jobs have it so."""
    jobs_a, jobs_b = ({(run.step, run.job): run.settings or {} for run in one.runs.runs} for one in (a, b))
    counts: dict[tuple[str, str, str, str], int] = {}
    for job in sorted(jobs_a.keys() & jobs_b.keys(), key=str):
        one, other = dict(_flat(jobs_a[job])), dict(_flat(jobs_b[job]))
        for key in sorted(one.keys() | other.keys()):
            values = one.get(key, ABSENT), other.get(key, ABSENT)
            if values[0] != values[1]:
                place = (job[0], key, *values)
                counts[place] = counts.get(place, 0) + 1
    rows = [dict(zip(("step", "setting", "A", "B"), place, strict=True)) for place in counts]
    return [row | {"jobs": count} for row, count in zip(rows, counts.values(), strict=True)]


def _flat(settings: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every setting by its dotted key, as JSON; lists as a whole."""
    if isinstance(settings, dict) and settings:
        for name, value in settings.items():
            yield from _flat(value, f"{key}.{name}" if key else name)
    else:
        yield key, json.dumps(settings, ensure_ascii=False)


# ---- as text -------------------------------------------------------------------------------------


def report(found: Mapping[str, Any], confidence: float) -> Iterator[str]:
    """The blocks of text, top to bottom; what has nothing to compare says so."""
    rows = found["accuracies"]
    yield (
        f"Top-1 accuracy on the test images, {100 * confidence:g}% intervals" if rows else "No cell is in both studies."
    )
    if rows:
        yield table([_accuracy(row) for row in rows], ACCURACIES)
    for bounds in BOUNDS:
        if beside := found["bounds"][bounds.bound]:
            yield f"Certificates of both studies, {bounds.bound.replace('_', ' ')}, rounded up"
            yield table([_beside(row, bounds) for row in beside], (*bounds.names, "A", "B"))
    differing = found["settings"]
    yield (
        "Settings that differ between jobs of the same name"
        if differing
        else ("No setting differs between jobs of the same name.")
    )
    if differing:
        short = [row | {name: shortened(row[name], VALUE_WIDTH) for name in ("A", "B")} for row in differing]
        yield table(short, ("step", "setting", "A", "B", "jobs"))


def _accuracy(row: Row) -> Row:
    texts: Row = {name: row[name] or None for name in CELL} | {"seeds": row["seeds"], "verdict": row["verdict"]}
    texts["predictor"] = predictor_name(row["predictor"])
    if row["seeds"]:
        texts |= {"A (%)": f"{row['a_percent']:.2f}", "B (%)": f"{row['b_percent']:.2f}"}
        texts["B - A (points)"] = signed(row["difference_points"], 2)
    if "p_value" in row:
        texts["interval"] = interval(row["low_points"], row["high_points"], 2)
        texts["t interval"] = interval(row["t_low_points"], row["t_high_points"], 2) or None
        texts["p (Holm)"] = p_value(row["p_holm"])
    return texts


def _beside(row: Row, bounds: Bounds) -> Row:
    shown = {side: bound_text(row[f"{bounds.bound}_{side.lower()}"], digits=bounds.digits) for side in ("A", "B")}
    return {name: row[name] for name in bounds.names} | shown
