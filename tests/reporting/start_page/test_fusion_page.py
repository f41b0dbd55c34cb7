"""The start page of a fusion study: what it shows comes from the files, and what is missing says why."""

import pytest
from reporting_study import changed
from start_page import Page, page_of, page_step, write_gathered, write_picture

from certifuse.base.manifest import read_manifest
from certifuse.reporting.fusion.tables import fusion_tables
from certifuse.reporting.tables import write_tables
from certifuse.study.steps.reporting import WriteTables

FIGURES = ("fusion_comparison", "lambda_ablation", "diversity")
TABLES = WriteTables(study="digits", confidence=0.95, bootstrap_samples=50)


@pytest.fixture(scope="module")
def results(frames, spent, tmp_path_factory):
    """The results directory of a study with gaps, one of whose figures has nothing to show."""
    directory = tmp_path_factory.mktemp("results")
    told = changed(frames, costs=spent)
    write_gathered(directory, fusion=told)
    write_tables(directory / "tables", fusion_tables(told, TABLES), "tables")
    for place in FIGURES:
        write_picture(directory / "figures" / f"{place}.png", "nothing <here>" if place == "diversity" else "")
    return directory


@pytest.fixture(scope="module")
def html(results):
    return page_of(page_step("fusion", figures=FIGURES), results)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_sections_stand_in_the_order_of_a_reader(page):
    order = ["studied", "answers", "main", "cost", "figures", "tables", "missing"]
    assert [name for name in page.sections if name in order] == order
    assert "certificates" not in page.sections


def test_the_page_is_one_file(page):
    assert all(one.startswith(("#", "data:image/png;base64,", "figures/", "tables/")) for one in page.references)


def test_a_figure_without_anything_to_show_is_no_picture_and_says_why(page, html):
    assert html.count('<img src="data:image/png') == 2
    assert "diversity has nothing to show: nothing <here>" in page.sections["figures"]
    assert "nothing <here>" not in html


def test_the_paragraph_is_made_from_the_settings_and_the_cells(page):
    studied = page.sections["studied"]
    for told in ("4 experts", "resnet and densenet", "multiplicative and concatenation", "0.5 and 1.0", "2 seeds"):
        assert told in studied
    assert "3 cells have no result" in studied


def test_the_main_table_has_the_numbers_of_the_tables(page, frames):
    header, *rows = page.tables["table-main"]
    (fused,) = (row for row in rows if row[:3] == ["resnet", "concatenation", "1.0"])
    scores = frames.summary.query("architecture == 'resnet' and fusion == 'concatenation' and `lambda` == '1.0'")
    top1 = scores.query("predictor == 'fused' and metric == 'top1_percent'")["value"]
    assert fused[header.index("top-1 (%)")].startswith(f"{top1.mean():.2f} [")
    compared = frames.comparison.query("level == 'cell' and architecture == 'resnet' and fusion == 'concatenation'")
    (row,) = compared.query(
        "`lambda` == '1.0' and predictor == 'fused' and baseline == 'probability_average_finetuned'"
    ).to_dict("records")
    assert f"[{row['low_points']:+.2f}, {row['high_points']:+.2f}]".replace("-", "−") in fused[5]


def test_every_table_stands_in_place_with_links_to_its_files(page, results):
    shown = {name.removeprefix("table-") for name in page.tables}
    assert {path.stem for path in (results / "tables").glob("*.csv")} <= shown
    linked = [one for one in page.references if one.startswith("tables/")]
    assert linked
    assert all((results / one).is_file() for one in linked)


def test_missing_cells_are_listed_with_their_reasons(page):
    header, *rows = page.tables["table-missing_fusion"]
    assert len(rows) == 3
    assert {row[header.index("reason")] for row in rows} == {"training failed: out of memory", "not finished"}


def test_the_cost_is_the_sum_of_the_trainings(page, spent):
    assert f"The epochs of {len(spent)} trainings took {len(spent):.1f} min on cpu" in page.sections["cost"]


def test_the_manifest_lists_every_file_that_was_read(html, results):
    read = read_manifest(results / "write_start_page_manifest.json")["inputs_sha256"]
    for path in ("metrics/missing.csv", "tables/answers.csv", "figures/diversity.png"):
        assert path in read
    assert any(path.endswith("workflow/report/figures.rst") for path in read)


def test_a_study_of_which_nothing_is_finished_has_a_page(frames, spent, tmp_path):
    told = changed(frames, summary=frames.summary[:0], comparison=frames.comparison[:0], costs=spent[:0])
    write_gathered(tmp_path, fusion=told)
    write_tables(tmp_path / "tables", fusion_tables(told, TABLES), "tables")
    shown = Page(page_of(page_step("fusion", finetuned_as=None), tmp_path))
    assert shown.sections["answers"].count("Not answered.") == 3
    assert "No training has a measured time." in shown.sections["cost"]
    assert "control" not in shown.sections["studied"]
