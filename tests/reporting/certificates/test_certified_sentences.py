"""The sentences of the start page on certificates: bounds rounded up, vacuous ones called so, what quoting costs."""

import re
from decimal import Decimal

import pandas as pd
import pytest
from reporting_study import changed
from start_page import Page, page_of, page_step, write_gathered

from certifuse.reporting.certificates.choice import count_priors, quoted
from certifuse.reporting.certificates.frames import SCHEMAS
from certifuse.reporting.certificates.tables import certificate_tables
from certifuse.reporting.frames import empty_frame, records
from certifuse.reporting.start_page.certified import certified, percent_text
from certifuse.reporting.tables import write_tables


def test_the_best_bound_and_its_quoted_form_are_rounded_up(study):
    trained = study.certificates.query("kind == 'subspace'")
    best = records(trained.nsmallest(1, "bound_percent"))[0]
    (sentence,) = (said for said in certified(study.certificates) if said.startswith("The lowest certified error"))
    told, as_best = map(Decimal, re.findall(r"is ([\d.]+)%", sentence))
    _, percent = quoted(best, count_priors(trained))
    for bound, shown in ((best["bound_percent"], told), (percent, as_best)):
        assert Decimal(repr(bound)) <= shown < Decimal(repr(bound)) + Decimal("0.01")
    assert as_best > told


def test_vacuous_certificates_are_counted_and_called_so(study):
    vacuous = study.certificates.assign(bound_percent=100.0)
    said = " ".join(certified(vacuous))
    trained = len(vacuous.query("kind == 'subspace'"))
    assert f"{trained} of trained subspaces: {trained} vacuous, the lowest certified error is 100.00% (vacuous)" in said
    assert "none is vacuous" in " ".join(certified(study.certificates))


@pytest.mark.parametrize(("bound", "text"), [(99.999, "100.00%"), (100.0, "100.00% (vacuous)"), (0.001, "0.01%")])
def test_a_bound_in_percent(bound, text):
    assert percent_text(bound) == text


def test_training_pays_in_as_many_families_as_pass_below_their_prior(study):
    families = ["scheme", "architecture", "fusion", "seed"]
    trained = study.certificates.query("kind == 'subspace'").groupby(families)["bound_percent"].min().reset_index()
    prior = study.certificates.query("kind == 'prior'")[["scheme", "architecture", "seed", "bound_percent"]]
    both = trained.merge(prior, on=["scheme", "architecture", "seed"], suffixes=("", "_prior"))
    pays = int((both["bound_percent"] < both["bound_percent_prior"]).sum())
    assert 0 < pays < len(both)
    assert f"in {pays} of {len(both)} families" in " ".join(certified(study.certificates))


@pytest.mark.parametrize("finished", [True, False])
def test_the_page_of_certificates_alone(one, tmp_path, finished):
    certificates = one.certificates if finished else empty_frame(SCHEMAS["certificates"])
    lacking = pd.DataFrame([{"architecture": "resnet", "kind": "joint", "reason": "not finished"}])
    told = changed(one, certificates=certificates, missing=empty_frame(SCHEMAS["missing"]))
    write_gathered(tmp_path, certificates=told)
    lacking.reindex(columns=list(SCHEMAS["missing"].columns)).fillna(0).to_csv(
        tmp_path / "metrics" / "missing_certificates.csv", index=False
    )
    write_tables(tmp_path / "tables", certificate_tables(told, "digits"), "certificate_tables")
    page = Page(page_of(page_step("certificates", images=None), tmp_path))
    assert ("No certificate has been made." in page.sections["certificates"]) == (not finished)
    assert len(page.tables["table-certificates"]) == 1 + finished * (len(certificates) + 1)
    assert "not finished" in page.sections["missing"]
