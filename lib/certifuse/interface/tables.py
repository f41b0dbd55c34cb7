"""The gathered numbers of a study as data frames."""

from pathlib import Path

import pandas as pd

from certifuse.base.errors import UserError
from certifuse.base.manifest import check_as_written

TEXTS = {"lambda": "str", "fusion": "str", "architecture": "str", "predictor": "str", "baseline": "str"}


def results(directory: str | Path = "results") -> dict[str, pd.DataFrame]:
    """Every table of a finished study by its name: `fusion_performance_summary`, `results`, `comparison`, ...

    Units are in the names of columns: `_percent`, `_points` (of percent), `_nats`, `_bpd` (bits per token), `_bits`,
    `_s`, `_min`, `_bytes`. Lambdas are text, as in the names of files.

    Args:
        directory: the `results_dir` of the study.

    Raises:
        UserError: no table is there, or one is not as the workflow wrote it.
    """
    directory = Path(directory)
    files = sorted(file for room in ("metrics", "tables") for file in (directory / room).glob("*.csv"))
    files += sorted((directory / "tables").glob("*/*.csv"))
    if not files:
        raise UserError(f"{directory}: expected tables below metrics/ and tables/, found none: run the study first")
    frames = {}
    for file in files:
        check_as_written(file)
        frames[file.stem] = pd.read_csv(file, dtype=TEXTS, keep_default_na=False, na_values=[""])
    return frames
