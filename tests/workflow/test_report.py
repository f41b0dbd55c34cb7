"""The HTML report of a finished study, opened in headless Chromium: no console error, every figure visible."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from certifuse.study.figures import figures_of

FIGURES = tuple(figures_of("fusion"))

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--window-size=1400,1000"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE_S = 20.0
TABLES = {
    "Tables": ("results", "baselines", "comparison", "costs", "training costs", "answers", "every score"),
    "Certificates": ("certificates", "certificate ledger", "crossings"),
    "Language models": ("summary table", "ledger", "terms", "contrasts", "hypotheses"),
}

pytestmark = [pytest.mark.slow, pytest.mark.tools]


@pytest.fixture(scope="module")
def report_file(finished: Any) -> Path:
    """The report of the small study."""
    done = finished.snakemake("--report", "report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(finished.root / "report.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        if os.environ.get("CERTIFUSE_REQUIRE_TOOLS"):
            pytest.fail("chromium and chromedriver are required here")
        pytest.skip("chromium or chromedriver is not installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


def wait_for(condition: Any) -> Any:
    """The first true value of `condition()`."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "the report did not show what was waited for"
        time.sleep(0.1)
    return found


def link(browser: Any, text: str) -> Any:
    return next((item for item in browser.find_elements("css selector", "a") if item.text == text), None)


def console_errors(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def choose(browser: Any, find: Any, appeared: Any) -> Any:
    """Click what `find` gives until `appeared` is true: the page builds its lists anew, which can swallow a click."""
    from selenium.common.exceptions import WebDriverException

    def attempt() -> Any:
        with contextlib.suppress(WebDriverException):
            if (shown := appeared()) or (element := find()) is None:
                return shown
            element.click()
        return None

    return wait_for(attempt)


def row_icon(browser: Any, figure: str, icon: str) -> Any:
    """The icon in the row of a figure, once the list of figures is shown."""
    rows = browser.find_elements("css selector", "tbody tr")
    row = next((found for found in rows if found.text.startswith(figure)), None)
    return row and row.find_element("css selector", f"a[iconname={icon}]")


def open_category(browser: Any, report: Path, category: str) -> list[str]:
    """The texts of the rows of a category, once they are shown."""
    browser.get(report.as_uri())
    find_rows = partial(browser.find_elements, "css selector", "tbody tr")
    return [row.text for row in choose(browser, lambda: link(browser, category), find_rows)]


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_is_visible(browser: Any, report_file: Path, figure: str) -> None:
    open_category(browser, report_file, "Figures")
    images = "img[src^='data:image/png']"
    image = choose(
        browser,
        lambda: row_icon(browser, figure, "eye"),
        lambda: next(iter(browser.find_elements("css selector", images)), None),
    )
    assert wait_for(lambda: browser.execute_script("return arguments[0].naturalWidth", image)) > 300
    assert console_errors(browser) == []


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_has_its_caption(browser: Any, report_file: Path, figure: str) -> None:
    open_category(browser, report_file, "Figures")
    shown = choose(
        browser,
        lambda: row_icon(browser, figure, "information-circle"),
        lambda: browser.find_element("css selector", "body").text.partition("DESCRIPTION")[2],
    )
    assert len(shown.partition("SIZE")[0]) > 100
    assert console_errors(browser) == []


@pytest.fixture(scope="module")
def report_of_tables(whole: Any) -> Path:
    """The report of every table that there is."""
    done = whole.snakemake("--report", "tables.html")
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(whole.root / "tables.html")


@pytest.mark.parametrize("category", TABLES)
def test_every_table_has_a_row_of_its_own(browser: Any, report_of_tables: Path, category: str) -> None:
    shown = open_category(browser, report_of_tables, category)
    assert sorted(row.removesuffix(" CSV") for row in shown if row.endswith("CSV")) == sorted(TABLES[category])


def test_no_table_is_missing_above(whole: Any) -> None:
    written = {path.stem.replace("_", " ") for path in (whole.root / "results" / "tables").rglob("*.csv")}
    assert {*chain(*TABLES.values())} == written | {"every score"}


def table(browser: Any, name: str) -> Any:
    """A table of the start page, opened where it is folded."""
    found = browser.find_element("id", f"table-{name}")
    browser.execute_script("const folded = arguments[0].closest('details'); if (folded) folded.open = true", found)
    return found


def column(found: Any, number: int) -> list[str]:
    """The shown texts of a column of a table."""
    cells = found.find_elements("css selector", f"tbody tr:not([hidden]) td:nth-child({number})")
    return [cell.text for cell in cells]


def test_the_start_page_shows_its_answers_and_every_picture(browser: Any, whole: Any) -> None:
    browser.get((whole.results / "index.html").as_uri())
    assert len(browser.find_elements("css selector", ".answer")) == 3 + 4
    widths = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert len(widths) > 5
    assert min(widths) > 300
    assert console_errors(browser) == []


def test_a_table_of_the_start_page_sorts_by_number_both_ways_and_can_be_searched(browser: Any, whole: Any) -> None:
    browser.get((whole.results / "index.html").as_uri())
    found = table(browser, "certificate_ledger")
    headers = [header.text for header in found.find_elements("css selector", "th button")]
    place = headers.index("bits")
    button = found.find_elements("css selector", "th button")[place]
    unsorted = [float(text.replace(",", "")) for text in column(found, place + 1)]
    for reverse in (False, True):
        button.click()
        shown = [float(text.replace(",", "")) for text in column(found, place + 1)]
        assert shown == sorted(unsorted, reverse=reverse) != unsorted
    found.find_element("css selector", "input").send_keys("TOTAL")
    assert set(column(found, headers.index("charge") + 1)) == {"total"}
    assert console_errors(browser) == []


@pytest.mark.parametrize("chart", ["accuracy", "certified"])
def test_a_mark_of_a_chart_says_under_the_mouse_what_it_is(browser: Any, whole: Any, chart: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    browser.get((whole.results / "index.html").as_uri())
    marks = f"#chart-{chart} .mark-symbol[aria-roledescription='symbol mark container'] path"
    mark = wait_for(lambda: browser.find_elements("css selector", marks))[-1]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
    ActionChains(browser).move_to_element(mark).perform()
    said = wait_for(lambda: browser.find_element("id", "vg-tooltip-element").text)
    for told in ("rule concatenation", "lambda 1.0", "seed 0", "files "):
        assert told in said
    (files,) = (line.removeprefix("files ") for line in said.splitlines() if line.startswith("files "))
    assert all((whole.results / path).is_dir() for path in files.split(", "))
    assert console_errors(browser) == []


def test_a_broken_page_is_noticed(browser: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text("<html><body><script>undefinedFunction()</script></body></html>")
    browser.get(broken.as_uri())
    assert wait_for(lambda: console_errors(browser))
