"""docs/results/digits_by_class/README.md."""

from typing import Any

import pytest

from certifuse.evaluation.bounds.rounding import upper


@pytest.fixture(scope="module")
def page(page_of: Any) -> Any:
    return page_of("digits_by_class")


def line(name: str, row: Any) -> str:
    return (
        f"| {name} | {row.code_bits:.0f} | {row.risk_percent:.1f} % | {upper(row.bound_percent, 1)} % "
        f"| {upper(row.held_out_bound_percent, 1)} % | {row.test_percent:.1f} % |"
    )


def test_every_number_of_the_page_is_in_its_tables(page: Any, check_page: Any) -> None:
    prior, joint = (page.row("certificates.csv", kind=kind) for kind in ("prior", "joint"))
    claims = [
        f"The sample is {prior.examples} images, the held-out set {prior.held_out_examples}",
        line("prior: the experts, averaged", prior),
        *(line(f"concatenation, d = {d}", page.row("certificates.csv", kind="subspace", d=d)) for d in (4, 128)),
        f"| jointly trained | {joint.code_bits:,.0f} (all weights) | {joint.risk_percent:.1f} % (compressed) "
        f"| {joint.bound_percent:.0f} % (vacuous) | {upper(joint.held_out_bound_percent, 1)} % "
        f"| {joint.test_percent:.1f} % |",
        f"No d crosses the {prior.code_bits:.0f}-bit certificate",
        f"({joint.test_percent:.1f} % test error)",
        f"and {prior.examples} images pay for few bits",
    ]
    check_page(page.text, claims)


def test_no_dimension_crosses(page: Any) -> None:
    assert set(page.table("crossings.csv")["crossing_d"]) == {"none"}
    prior = page.row("certificates.csv", kind="prior")
    assert (page.rows("certificates.csv", kind="subspace")["bound_percent"] > prior.bound_percent).all()
