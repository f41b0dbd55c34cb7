"""The provenance of a table of thousands of cells: a summary that fits on a few screens, and everything on request."""

from typing import Any

import pytest

from certifuse.cli.provenance.lineage import Lineage, Reading
from certifuse.cli.provenance.runs import Run, Stored
from certifuse.cli.provenance.text import report

CELLS, COMMITS, LOST = 3000, 3, 4
WALL_S = 12.0


def run_of(step: str, number: int) -> Run:
    names: dict[str, Any] = {"fusion": "concatenation", "lambda": f"{number // 50}.5", "seed": number % 50}
    return Run(
        step=step,
        record=f"{step}/{number}_manifest.json",
        names=names,
        job=f"{step}/{number}",
        settings={"cell": names},
        source="0123456789abcdef",
        environment={
            "git": {"commit": f"{number % COMMITS}" * 40, "dirty": False},
            "packages": {"torch": "2.11"},
            "processor": f"model {number % 2}",
            "platform": "Linux",
        },
        finished="2026-01-01T00:00:00.000",
        wall_s=WALL_S,
    )


@pytest.fixture(scope="module")
def lineage() -> Lineage:
    """A table of the scores of all cells, whose components somebody has deleted since."""
    gathered = run_of("gather", 0)
    scored, trained = ([run_of(step, cell) for cell in range(CELLS)] for step in ("evaluate_fusion", "train_fusion"))
    readings = [
        Reading(Stored(f"metrics/{cell}.csv", "a" * 64), gathered, run, "a" * 64, "same", False)
        for cell, run in enumerate(scored)
    ]
    readings += [
        Reading(Stored(f"components/{cell}/{part}", "b" * 64), scored[cell], trained[cell], None, "absent", False)
        for cell in range(CELLS)
        for part in range(LOST)
    ]
    runs, digest = (gathered, *scored, *trained), "c" * 64
    return Lineage("metrics/all.csv", digest, digest, "same", "its manifest", False, runs, tuple(readings), None)


def test_the_summary_of_thousands_of_cells_is_short(lineage: Lineage) -> None:
    """Jobs, commits, machines and wall time of each step; how many inputs are lost; the first of them."""
    told = report("results/metrics/all.csv", lineage)
    assert len(told) < 10_000
    row = next(line for line in told.splitlines() if line.startswith("train_fusion")).split("  ")
    fields = [field.strip() for field in row if field.strip()]
    assert fields[1] == str(CELLS)
    assert fields[-4:] == [f"{COMMITS} different", "2", "10h00m", "2026-01-01 00:00"]
    assert f"  {CELLS * LOST} ABSENT now, read by evaluate_fusion\n" in told
    assert f"  and {CELLS * LOST - 10} others: --full lists them" in told
    assert f"  {'0' * 12}: {2 * CELLS // COMMITS + 1} runs\n" in told


def test_everything_is_told_on_request(lineage: Lineage) -> None:
    told = report("results/metrics/all.csv", lineage, full=True)
    assert told.count("ABSENT now (") == CELLS * LOST
    assert f"lambda {' | '.join(f'{number}.5' for number in range(CELLS // 50))}" in " ".join(told.split())
