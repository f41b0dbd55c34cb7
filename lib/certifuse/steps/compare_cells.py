"""Paired comparison of every cell with the averages of experts that were never fused, from the stored predictions.

Of a cell: the fused network, the fused network averaged with its experts, and the average of its experts alone.

Two kinds of rows. `seed`: one network against one average on the same test images, with McNemar's exact test,
Holm-adjusted over all such rows of one predictor and baseline. `cell`: the mean over the seeds, with a bootstrap
over the test images (seeds kept), its p-values Holm-adjusted over these cells, and, where there are two seeds or
more, a t interval over the seeds.
Shapes: S seeds, N test images.

Reads the stored predictions; writes `metrics/paired_comparisons.csv` and a manifest. A second for each cell.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certifuse.base.manifest import SHARED_NAME, StepRecord
from certifuse.base.rows import write_rows
from certifuse.evaluation.images.predictions import load_predictions
from certifuse.evaluation.statistics import holm, mcnemar_exact, paired_bootstrap, t_interval
from certifuse.study import paths
from certifuse.study.cells import Cell, Family
from certifuse.study.steps.gathering import CompareCells, GatheringFiles

PREDICTORS = ("fused", "fused_plus_experts", "probability_average_after")
BASELINES = ("probability_average_finetuned", "probability_average_before")
COLUMNS = (
    *("level", "architecture", "fusion", "lambda", "seed", "predictor", "baseline", "n_test", "seeds"),
    *(
        "difference_points",
        "low_points",
        "high_points",
        "bootstrap_p",
        "bootstrap_p_holm",
        "t_low_points",
        "t_high_points",
    ),
    *("only_predictor_right", "only_baseline_right", "mcnemar_p", "mcnemar_p_holm", "seeds_significant", "seeds_worse"),
)


def compare_cells(step: CompareCells, files: GatheringFiles) -> None:
    """Write the paired comparisons of all cells that have predictions."""
    results = files.results_dir
    predictions = _predictions(step, results)
    record = StepRecord(step, files.source, predictions.values())
    correct = {
        key: _correct(file, PREDICTORS if isinstance(key, Cell) else BASELINES) for key, file in predictions.items()
    }
    rows = []
    for predictor in PREDICTORS:
        for baseline in BASELINES:
            seeds = [row for cell in step.cells for row in _seed_rows(correct, cell, predictor, baseline)]
            for row, adjusted in zip(seeds, holm([row["mcnemar_p"] for row in seeds]), strict=True):
                row["mcnemar_p_holm"] = float(adjusted)
            cells = _cell_rows(step, correct, seeds, predictor, baseline)
            for row, adjusted in zip(cells, holm([row["bootstrap_p"] for row in cells]), strict=True):
                row["bootstrap_p_holm"] = float(adjusted)
            rows += seeds + cells
    comparison = results / paths.COMPARISON
    write_rows(comparison, rows, COLUMNS)
    record.write(comparison.with_name(SHARED_NAME.format(job=step.rule)), [comparison])


Key = Cell | Family
Correct = dict[Key, dict[str, NDArray[np.bool_]]]


def _predictions(step: CompareCells, results: Path) -> dict[Key, Path]:
    """The stored predictions of every cell and of every (architecture, seed): those that there are."""
    files: dict[Key, Path] = {}
    for cell in step.cells:
        family = Family(cell.architecture, cell.seed)
        files[cell] = results / paths.CELL_METRICS.format(**cell.names()) / paths.PREDICTIONS_FILE
        files[family] = results / paths.BASELINE_METRICS.format(**family.names()) / paths.PREDICTIONS_FILE
    return {key: file for key, file in files.items() if file.is_file()}


def _correct(file: Path, predictors: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Truth, for each predictor, of "it gets this test image right" (N,)."""
    tensors = load_predictions(file)
    stored = [name for name in predictors if f"{name}/predicted" in tensors]
    return {name: (tensors[f"{name}/predicted"] == tensors["labels"]).numpy() for name in stored}


def _seed_rows(correct: Correct, cell: Cell, predictor: str, baseline: str) -> list[dict[str, Any]]:
    ours = correct.get(cell, {}).get(predictor)
    theirs = correct.get(Family(cell.architecture, cell.seed), {}).get(baseline)
    if ours is None or theirs is None:
        return []
    test = mcnemar_exact(ours, theirs)
    return [
        {
            "level": "seed",
            **_names(cell, predictor, baseline),
            "seed": cell.seed,
            "n_test": len(ours),
            "seeds": 1,
            "difference_points": 100 * float(ours.mean() - theirs.mean()),
            "only_predictor_right": test.only_a,
            "only_baseline_right": test.only_b,
            "mcnemar_p": test.p_value,
        }
    ]


def _cell_rows(
    step: CompareCells, correct: Correct, seeds: list[dict[str, Any]], predictor: str, baseline: str
) -> list[dict[str, Any]]:
    by_cell: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in seeds:
        by_cell.setdefault((row["architecture"], row["fusion"], row["lambda"]), []).append(row)
    rows = []
    for (architecture, fusion, lam), members in by_cell.items():
        cells = [Cell(architecture, fusion, lam, row["seed"]) for row in members]
        ours = np.stack([correct[cell][predictor] for cell in cells])
        theirs = np.stack([correct[Family(cell.architecture, cell.seed)][baseline] for cell in cells])
        boot = paired_bootstrap(ours, theirs, step.bootstrap_samples, step.confidence, step.bootstrap_seed)
        over_seeds = t_interval([row["difference_points"] for row in members], step.confidence)
        differing = [row for row in members if row["mcnemar_p_holm"] < 1 - step.confidence]
        rows.append(
            {
                "level": "cell",
                **_names(cells[0], predictor, baseline),
                "n_test": ours.shape[1],
                "seeds": len(cells),
                "difference_points": 100 * boot.mean,
                "low_points": 100 * boot.low,
                "high_points": 100 * boot.high,
                "bootstrap_p": boot.p_value,
                "t_low_points": over_seeds.low,
                "t_high_points": over_seeds.high,
                "seeds_significant": len(differing),
                "seeds_worse": sum(row["difference_points"] < 0 for row in differing),
            }
        )
    return rows


def _names(cell: Cell, predictor: str, baseline: str) -> dict[str, Any]:
    names = {key: value for key, value in cell.names().items() if key != "seed"}
    return {**names, "predictor": predictor, "baseline": baseline}
