"""docs/results/kill_matrix/README.md."""

from collections import Counter
from typing import Any

import pytest
from kill_points import in_ci, of_everything

CLAIMED_TOGETHER = (("gather", "gather_certificates"),)
MOMENTS = {
    "ParameterGroup.after_backward": "after a gradient",
    "opened": "a file opened",
    "half": "half written",
    "whole": "written",
    "renamed": "just renamed",
    "time": "any time",
    "write_certificate": "before the certificate is written",
    "outputs": "between batches",
    "Figure.draw": "while drawing",
}
ELSEWHERE = [
    *("of all 134 files", "in 7 minutes on two cores", "(two experts,"),
    "the second file, the 21st gradient, 10.3 seconds",
]
"""What was counted and timed beside the table, and examples."""


@pytest.fixture(scope="module")
def page(page_of: Any) -> Any:
    return page_of("kill_matrix")


@pytest.fixture(scope="module")
def kills(page: Any) -> Any:
    return page.table("summary.csv")


def claims(kills: Any) -> list[str]:
    by_step, with_all = Counter(kills["step"]), int((kills["killed"] != "the step").sum())
    trainings = kills["epochs_not_repeated"].dropna().astype(int)
    *kept, most = sorted(set(trainings[trainings > 0]))
    together = {step: steps for steps in CLAIMED_TOGETHER for step in steps}
    rows = {together.get(step, (step,)): 0 for step in by_step}
    for step, count in by_step.items():
        rows[together.get(step, (step,))] += count
    at_once = int((trainings == 0).sum())
    return [
        f"what {len(kills)} kills at random points",
        f"{len(kills)} times, {len(kills) - with_all} times the step alone and {with_all} times Snakemake with all",
        *(f"| {', '.join(f'`{step}`' for step in steps)} | {count} |" for steps, count in rows.items()),
        f"of the {len(trainings)} kills of trainings {at_once} came before the first was stored, the others kept "
        f"{', '.join(map(str, kept))} or {most}",
    ]


def test_every_number_of_the_page_is_in_its_table(page: Any, kills: Any, check_page: Any) -> None:
    check_page(page.text, [*claims(kills), f"CI kills at {len(in_ci())} of these points"], ELSEWHERE)


def test_the_page_names_every_moment_of_every_step(page: Any, kills: Any) -> None:
    for step, of_step in kills.groupby("step"):
        (row,) = (row for row in page.text.split("| `")[1:] if f"`{step}`" in f"`{row.partition('|')[0]}")
        assert all(MOMENTS[moment] in row for moment in of_step["moment"]), (step, row)


def test_all_was_equal_and_the_strikes_are_those_of_the_test(kills: Any) -> None:
    strikes = of_everything()
    assert kills["results_equal"].all()
    assert list(zip(kills["step"], kills["of"], kills["moment"], strict=True)) == [
        (strike.script, strike.argument, strike.moment) for strike in strikes
    ]
