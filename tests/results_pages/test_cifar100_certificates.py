"""docs/results/cifar100_certificates/README.md, and what the README of the project quotes from it."""

from pathlib import Path
from typing import Any

import pytest

from certifuse.evaluation.bounds.rounding import upper

STUDY = "cifar100_certificates"
LEVELS = 3
PUBLISHED = ["(Lotfi et al. 2022: 94.6 % from scratch, 81.3 % with transfer, 44.4 % with a data-dependent prior)"]
EXPECTED = ["a full-size ResNet would start from an error of about 25 %"]
NAMES = {
    ("concatenation", 4): "concatenation, d = 4, 3 levels",
    ("concatenation", 16): "concatenation, d = 16, 3 levels",
    ("TransformerBase", 16): "TransformerBase, d = 16, 3 levels",
    ("concatenation", 256): "concatenation, d = 256, 3 levels",
    ("concatenation", 1024): "concatenation, d = 1024, 3 levels",
}


@pytest.fixture(scope="module")
def page(page_of: Any) -> Any:
    return page_of(STUDY)


def subspace(page: Any, dim: int, fusion: str = "concatenation") -> Any:
    return page.row("certificates.csv", kind="subspace", fusion=fusion, d=dim, levels=LEVELS)


def risks(row: Any, separator: str = "") -> str:
    """Certified error, held-out certificate and test error of a row, as cells."""
    certified = f"{separator}{upper(row.bound_percent, 2)} %{separator}"
    return f"{certified} | {upper(row.held_out_bound_percent, 2)} % | {row.test_percent:.2f} % |"


def table_claims(page: Any) -> list[str]:
    prior = page.row("certificates.csv", kind="prior")
    joint = page.row("certificates.csv", kind="joint", fusion="concatenation")
    lines = [
        f"| **prior: the four experts, averaged** | {prior.code_bits:.0f} | {prior.risk_percent:.2f} % "
        f"| {risks(prior, '**')}"
    ]
    for (fusion, dim), name in NAMES.items():
        row = subspace(page, dim, fusion)
        lines.append(f"| {name} | {row.code_bits:,.0f} | {row.risk_percent:.2f} % | {risks(row)}")
    lines.append(
        f"| jointly trained, concatenation | {joint.code_bits:,.0f} (all weights) | {joint.risk_percent:.2f} % "
        f"(compressed) | {joint.bound_percent:.0f} % (vacuous) | {upper(joint.held_out_bound_percent, 2)} % "
        f"| {joint.test_percent:.2f} % |"
    )
    return lines


def setting_claims(page: Any) -> list[str]:
    config, images = page.config, page.images_in
    width, blocks = config["architectures"]["resnet"]["width"], config["architectures"]["resnet"]["blocks"]
    epochs, correlation = config["pretraining"]["epochs"], config["splits"]["duplicate_correlation"]
    assert blocks == [1, 1, 1]
    assert len({images(f"expert_{index}") for index in range(4)}) == 1
    deltas = page.table("certificates.csv")["delta"].unique()
    assert len(deltas) == 1
    return [
        f"Four thin ResNets (width {width}, three blocks) were each trained for {epochs} epochs",
        f"on {images('expert_0'):,} images of a pool of {images('pool'):,}",
        f"The sample is {images('fusion'):,} fusion images that the prior never saw; {images('certificate'):,} more",
        f"{images('dropped')} near-duplicates (pixel correlation of {correlation:.2f} or more)",
        f"delta = {deltas[0]:g}; every bound",
        f"held-out certificate ({images('certificate'):,} images)",
        f"{images('fusion'):,} images bound more tightly than {images('certificate'):,} do",
    ]


def finding_claims(page: Any) -> list[str]:
    prior = page.row("certificates.csv", kind="prior")
    joint = page.row("certificates.csv", kind="joint", fusion="concatenation")
    first, second, middle, last = (subspace(page, dim) for dim in (4, 16, 256, 1024))
    attention = subspace(page, 16, "TransformerBase")
    differing = 100 * (middle.worse + middle.better) / middle.examples
    assert all(row.bound_percent > prior.bound_percent for row in (first, second, middle, last, attention))
    assert all(row.bound_percent < row.held_out_bound_percent for row in (first, second))
    return [
        f"is certified at {upper(first.bound_percent, 1)} % (d = {first.d}), "
        f"{upper(second.bound_percent, 1)} % (d = {second.d}) and "
        f"{upper(attention.bound_percent, 1)} % (TransformerBase)",
        f"At d = {first.d} and {second.d} the trained certificate is below the held-out certificate",
        f"errs on {prior.held_out_percent:.2f} % of them and on {prior.risk_percent:.2f} % of the sample",
        f"about three quarters of a point at d = {first.d}",
        f"It lowers the error from {prior.risk_percent:.2f} % to {last.risk_percent:.2f} % at d = {last.d}",
        f"at d = {first.d} the certificate is {first.bound_percent - prior.bound_percent:.1f} points above the prior's "
        f"and the error {prior.risk_percent - first.risk_percent:.2f} below",
        f"No d crosses the {prior.code_bits:.0f}-bit certificate",
        f"d = {last.d} bits and confidence add {last.bound_percent - last.risk_percent:.1f} points to the error",
        f"makes d = {middle.d} and {last.d} readable at all**: paying bits for the {differing:.0f} % of images",
        f"gives {upper(middle.bound_percent, 1)} % at d = {middle.d}",
        f"the exact binomial over the whole loss gives {upper(middle.bound_binomial_percent, 1)} %",
        f"({joint.test_percent:.1f} % test error against {prior.test_percent:.1f} %)",
        f"with {joint.code_bits / 1e6:.1f} million bits for {joint.examples:,} images",
    ]


def ledger_claims(page: Any) -> list[str]:
    where = {"kind": "subspace", "fusion": "concatenation", "d": 16, "levels": LEVELS}
    bits = page.rows("certificate_ledgers.csv", **where).set_index("charge")["bits"]
    return [
        f"Ledger of concatenation, d = {where['d']}, {LEVELS} levels: d and L {bits['sizes']:.0f} bits, codebook "
        f"{bits['codebook']:.0f}, symbol model {bits['symbol model']:.0f}, symbols {bits['symbols']:.0f}; "
        f"{bits.sum():.0f} in all."
    ]


def test_every_number_of_the_page_is_in_its_tables(page: Any, check_page: Any) -> None:
    claims = table_claims(page) + setting_claims(page) + finding_claims(page) + ledger_claims(page)
    check_page(page.text, claims, PUBLISHED + EXPECTED)


def test_three_levels_beat_seven_everywhere(page: Any) -> None:
    of_subspace = page.rows("certificates.csv", kind="subspace").pivot(
        index=["fusion", "d"], columns="levels", values="bound_percent"
    )
    assert (of_subspace[3] < of_subspace[7]).all()


def test_what_the_readme_quotes_is_in_the_tables(page: Any, check_page: Any) -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme.split("## Certificates", 1)[1].split("## ", 1)[0]
    prior, trained = page.row("certificates.csv", kind="prior"), subspace(page, 16)
    claims = [
        f"certified at {upper(trained.bound_percent, 1)} % error ({trained.code_bits:.0f} bits), its prior, the "
        f"experts averaged, at {upper(prior.bound_percent, 1)} % for no bits at all",
        f"the same network on images kept aside at {upper(trained.held_out_bound_percent, 1)} %",
        f"with {100 * (1 - trained.delta):.0f} % confidence",
    ]
    check_page(" ".join(section.split()), claims)
