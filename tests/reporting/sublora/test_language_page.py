"""The start page of a study of language models: its questions, the table of its tests, and what is missing."""

import pytest
from start_page import Page, page_of, page_step, write_gathered

from certifuse.reporting.sublora.page import sections
from certifuse.reporting.sublora.questions import QUESTIONS
from certifuse.reporting.sublora.tables import sublora_tables
from certifuse.reporting.tables import write_tables


@pytest.fixture(params=["frames", "none_finished"])
def of_study(request):
    return request.getfixturevalue(request.param)


def test_the_questions_are_answered_in_place(of_study, tmp_path):
    write_gathered(tmp_path, sublora=of_study)
    write_tables(tmp_path / "tables" / "sublora", sublora_tables(of_study, "digits", 0.95), "sublora_tables")
    page = Page(page_of(page_step("sublora", images=None, finetuned_as=None), tmp_path))
    for section in sections(of_study, "digits", 0.95):
        for paragraph in section.paragraphs:
            known = section.heading in QUESTIONS.values() or section.heading.startswith("What is certified")
            assert not known or paragraph in " ".join(page.sections.values()).replace("  ", " ")
    header, *tests = page.tables["table-hypotheses"]
    assert len(tests) == len(sublora_tables(of_study, "digits", 0.95)[-1].rows)
    assert not tests or {"question", "verdict"} <= set(header)
    assert len(page.tables["table-missing_sublora"]) == 1 + len(of_study.missing)
    assert "No training of a language model has a measured time." in page.sections["cost"]
