"""`certifuse status`: the grid of a study as a table, with what else it trains and scores summarised below."""

import argparse
import json
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from certifuse.cli.render import duration, shortened, table
from certifuse.cli.status.progress import STATES, Progress, progress_of
from certifuse.study.study import Study, read_study
from certifuse.study.tasks import GROUPS, Task, study_tasks

DETAIL_WIDTH = 100

EXAMPLE = """example:
  certifuse status --configfile config/cifar100_small.yaml

Time left is the median time of an epoch's training times the epochs to come: validation and early stopping aside.
"""
GRIDS = ("fusion", "language")
"""Groups whose every task is shown."""
COLUMNS = ("step", "architecture", "fusion", "lambda", "seed", "state", "epoch", "val. acc. / %", "left", "detail")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `status`."""
    summary = "show what of a study is done, running, waiting or failed"
    parser = subparsers.add_parser("status", help=summary, description=__doc__, epilog=EXAMPLE)
    add_configfile(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(execute=execute)


def add_configfile(parser: argparse.ArgumentParser) -> None:
    """Add the option that names a study."""
    default = Path("config/config.yaml")
    parser.add_argument(
        "--configfile", type=Path, default=default, metavar="FILE", help=f"the study (default: {default})"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print the state of every cell, of every other task that runs or has failed, and the totals."""
    study = study_in(arguments.configfile)
    now = time.time()
    rows = [(task, progress_of(task, now)) for task in study_tasks(study)]
    if arguments.json:
        shown = [task_record(task, progress) for task, progress in rows]
        print(json.dumps({"study": study.name, "tasks": shown, "totals": totals(rows)}, indent=2))
        return 0
    urgent = [(task, progress) for task, progress in rows if progress.state in {"running", "failed"}]
    grid = [(task, progress) for task, progress in rows if task.group in GRIDS]
    others = [(task, progress) for task, progress in urgent if task.group not in GRIDS]
    print(table([_cells(task, progress) for task, progress in [*grid, *others]], COLUMNS))
    print()
    print(
        table([{study.name: group, **counts} for group, counts in totals(rows).items()], (study.name, *STATES, "total"))
    )
    return 0


def study_in(configfile: Path) -> Study:
    """The study in a configuration file.

    Raises:
        UserError: the file is absent, no YAML mapping, or no valid study.
    """
    from certifuse.study.reading.configuration_file import read_configuration

    return read_study(read_configuration(configfile))


def totals(rows: list[tuple[Task, Progress]]) -> dict[str, dict[str, int]]:
    """Count the tasks of each group in each state."""
    counts = Counter((task.group, progress.state) for task, progress in rows)
    groups = [group for group in GROUPS if any(task.group == group for task, _ in rows)]
    by_group = {group: {state: counts[group, state] for state in STATES} for group in groups}
    return {group: of | {"total": sum(of.values())} for group, of in by_group.items()}


def task_record(task: Task, progress: Progress) -> dict[str, Any]:
    """A task and its progress as plain values."""
    return {"group": task.group, "step": task.step, **task.labels, **asdict(progress)}


def _cells(task: Task, progress: Progress) -> dict[str, Any]:
    accuracy, left = progress.val_accuracy_percent, progress.seconds_left
    counted = progress.epochs is not None and (progress.epoch is not None or progress.state == "running")
    epochs = f"{progress.epoch or 0}/{progress.epochs}" if counted else None
    return task_record(task, progress) | {
        "epoch": epochs,
        "val. acc. / %": None if accuracy is None else f"{accuracy:.2f}",
        "left": None if left is None else duration(left),
        "detail": shortened(progress.detail, DETAIL_WIDTH),
    }
