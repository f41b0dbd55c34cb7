"""The tables of the fusion study. Columns of one name mean the same in all of them."""

from certifuse.reporting.cells import CELL_TYPES
from certifuse.reporting.frames import Schema

SCHEMAS = {
    "summary": Schema(CELL_TYPES | {"predictor": "str", "metric": "str", "value": "float64"}),
    "missing": Schema(CELL_TYPES | {"reason": "str"}),
    "logs": Schema(
        {"model_architecture": "str", "fusion_type": "str", "lambda": "str", "seed": "int64", "epoch": "int64"}
        | dict.fromkeys(("val_loss", "val_accuracy", "loss_global", "loss_individual"), "float64")
        | {"path_gradient_cosine": "float64"}
    ),
    "calibration": Schema(
        CELL_TYPES
        | {"predictor": "str", "calibrated": "int64", "bin": "int64", "count": "int64"}
        | {"mean_confidence": "float64", "accuracy": "float64"}
    ),
    "comparison": Schema(
        CELL_TYPES
        | {"seed": "Int64", "level": "str", "predictor": "str", "baseline": "str"}
        | dict.fromkeys(("n_test", "seeds", "seeds_significant", "seeds_worse"), "Int64")
        | dict.fromkeys(("difference_points", "low_points", "high_points", "t_low_points", "t_high_points"), "float64")
        | dict.fromkeys(("bootstrap_p", "bootstrap_p_holm", "mcnemar_p", "mcnemar_p_holm"), "float64")
    ),
    "costs": Schema(CELL_TYPES | {"training": "str", "training_wall_s": "float64", "device": "str"}),
}
