import math
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from printed_bounds import column_of, rounded_down, rounded_up
from reporting_study import changed, written
from scipy import stats
from tools import needs

from certifuse.base.errors import UserError
from certifuse.base.rows import read_rows
from certifuse.reporting.frames import Frames
from certifuse.reporting.latex import SPECIAL
from certifuse.reporting.ledgers import NO_LEDGER
from certifuse.reporting.sublora.page import page_md, sections
from certifuse.reporting.sublora.tables import COLUMNS, ledger_rows, ledger_tex, summary_rows, summary_tex
from certifuse.reporting.sublora.terms import terms_rows, terms_tex
from certifuse.steps.write_sublora_tables import write_sublora_tables
from certifuse.study.steps.reporting import WriteSubloraTables

STEP = WriteSubloraTables(study="digits", confidence=0.95)


def write(frames: Frames, directory: Path) -> Path:
    """The directory with the tables of these frames, and the manifest."""
    write_sublora_tables(STEP, STEP.Files(source="0", **written(frames, directory), output_dir=directory / "tables"))
    return directory / "tables"


def row_of(rows: list[dict], **wanted: object) -> dict:
    (row,) = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
    return row


@pytest.fixture(scope="module")
def summary(frames) -> list[dict]:
    return summary_rows(frames, 0.95)


@pytest.fixture(scope="module")
def page(frames) -> str:
    return page_md(sections(frames, "digits", 0.95))


def test_a_configuration_equals_a_hand_computation(frames, summary):
    rows = frames.metrics.query("d == 1000 and mode == 'fixed_0.8' and levels == 7")
    row = row_of(summary, model="sublora", budget=1000, mode="fixed_0.8", levels=7)
    bounds = rows["bound_best_bpd"].to_numpy()
    half = stats.t.ppf(0.975, 2) * bounds.std(ddof=1) / math.sqrt(3)
    assert row["bound_bpd"] == pytest.approx(bounds.mean())
    assert (row["bound_bpd_low"], row["bound_bpd_high"]) == pytest.approx((bounds.mean() - half, bounds.mean() + half))
    assert row["size_kb"] == pytest.approx(rows["code_bits"].mean() / 8000)
    assert row["kl_nats"] == pytest.approx(rows["code_bits"].mean() * math.log(2))
    assert row["bpd"] == pytest.approx(rows["risk_bpd"].mean())
    assert (row["seeds"], row["seed_list"], row["ratio"]) == (3, "42 123 999", 0.8)
    assert (row["documents"], row["subsample"], row["missing_seeds"]) == (74_057, 5_000, 0)


def test_every_configuration_has_one_row_and_missing_ones_no_number(frames, summary):
    asked = frames.metrics[["model", "d", "mode", "levels"]].drop_duplicates()
    assert len(summary) == len(asked) + 3  # fixed 0.2 at d = 2000 has none at three numbers of levels
    absent = row_of(summary, budget=2000, mode="fixed_0.2", levels=3)
    assert (absent["seeds"], absent["missing_seeds"]) == (0, 3)
    assert absent["reason"] == "training failed: out of memory"
    assert "bpd" not in absent
    partial = row_of(summary, budget=1000, mode="learned", levels=3)
    assert (partial["seeds"], partial["missing_seeds"], partial["reason"]) == (2, 1, "not finished")


def test_compared_and_vacuous_configurations_are_marked(summary):
    compared = {(row["budget"], row["levels"]) for row in summary if row["compared"]}
    assert compared == {(1000, 3), (2000, 3)}
    assert row_of(summary, model="ngram", mode="uniform")["vacuous_seeds"] == 1
    assert row_of(summary, model="ngram", mode="unigram")["vacuous_seeds"] == 0
    modes = [row["mode"] for row in summary]
    assert modes[-3:] == ["uniform", "unigram", "bigram"]


def test_no_bound_is_printed_below_its_value(summary):
    measured = [row for row in summary if row["seeds"]]
    columns = {"bound, ours": "bound_bpd", "paid": "bound_hoeffding_bpd", "top-1 bound": "top1_bound"}
    for header, name in columns.items():
        cells = column_of(summary_tex(measured, "digits", 0.95), header)
        assert [cell.split(" ")[0] for cell in cells] == [rounded_up(row[name], 3) for row in measured]


def test_latex_shows_the_rounded_numbers_and_the_reason(summary):
    text = summary_tex(summary, "digits", 0.95)
    row = row_of(summary, budget=1000, mode="fixed_0.8", levels=7)
    around = f"[{rounded_down(row['bound_bpd_low'], 3)}, {rounded_up(row['bound_bpd_high'], 3)}]"
    bound = f"{rounded_up(row['bound_bpd'], 3)} {around}"
    (line,) = [line for line in text.splitlines() if line.startswith("1,000 & fixed 0.8 & 0.80 & 7")]
    assert f"& 3 & {row['bpd']:.3f} [" in line
    assert f"{bound} & {row['size_kb']:.3f} & 1.040" in line
    assert (
        r"2,000 & fixed 0.2 &  & 3 + & 0 & \multicolumn{8}{l}{\emph{missing: training failed: out of memory}}" in text
    )
    assert "& 2 of 3 &" in text
    assert " *" in row_line(text, "uniform table")


def row_line(text: str, part: str) -> str:
    return next(line for line in text.splitlines() if part in line)


# ---- ledger --------------------------------------------------------------------------------------


def test_the_ledger_is_that_of_the_best_certificate(frames):
    rows = [row for row in ledger_rows(frames) if (row["budget"], row["mode"]) == (1000, "uniform")]
    best = frames.metrics.query("d == 1000 and mode == 'uniform'").sort_values("bound_best_bpd").iloc[0]
    assert {(row["seed"], row["levels"]) for row in rows} == {(best["seed"], best["levels"])}
    assert [row["charge"] for row in rows] == ["symbols", "codebook", "smoothing alpha", "mode", "total"]
    assert rows[-1]["bits"] == pytest.approx(sum(row["bits"] for row in rows[:-1]))
    assert sum(row["share_percent"] for row in rows[:-1]) == pytest.approx(100)


def test_charges_that_do_not_add_up_are_refused_and_a_lost_ledger_says_so(frames):
    ledgers = frames.ledgers
    with pytest.raises(UserError, match=r"expected charges of 1509 bits together, found 1508"):
        ledger_rows(
            changed(frames, ledgers=ledgers.assign(bits=ledgers["bits"].where(ledgers["charge"] != "mode", 4.0)))
        )
    rows = ledger_rows(changed(frames, ledgers=ledgers.iloc[:0]))
    assert {row["charge"] for row in rows} == {NO_LEDGER}
    assert "missing: no ledger" in ledger_tex(rows, "digits")


# ---- terms ---------------------------------------------------------------------------------------


def test_the_terms_add_up_to_both_bounds(frames):
    rows = terms_rows(frames.metrics, frames.terms)
    of = {row["term"]: row for row in rows if (row["budget"], row["mode"], row["levels"]) == (1000, "learned", 3)}
    certificates = frames.metrics.query("d == 1000 and mode == 'learned' and levels == 3")
    for side, column in (("published_bpd", "bound_published_bpd"), ("ours_bpd", "bound_best_bpd")):
        assert of["bound"][side] == pytest.approx(certificates[column].mean())
        parts = ("risk", "subsampling", "complexity", "choice of inequality")
        assert sum(of[part][side] for part in parts) == pytest.approx(of["bound"][side])
    assert of["choice of inequality"]["ours_bpd"] == pytest.approx(0.004)
    assert of["complexity"]["shrank_percent"] == pytest.approx(
        100 * (1 - of["complexity"]["ours_bpd"] / of["complexity"]["published_bpd"])
    )
    assert {row["seeds"] for row in of.values()} == {2}
    line = row_line(terms_tex(rows, "digits"), "1,000 & learned & 3 & 2")
    assert f"0.000 / 0.004 & {of['bound']['published_bpd']:.3f} / {of['bound']['ours_bpd']:.3f}" in line


def test_an_inequality_that_was_named_beforehand_has_no_column_for_its_choice(frames):
    named = frames.metrics.assign(bound_best_bpd=frames.metrics["bound_best_bpd"] - 0.004)
    text = terms_tex(terms_rows(named, frames.terms), "digits")
    assert "choice of inequality" not in text
    assert "published / ours (bernstein)" in text


def test_terms_are_of_the_inequality_that_was_chosen(frames):
    metrics = frames.metrics.assign(inequality="betting")
    terms = frames.terms
    assert terms_rows(metrics, terms) == []
    betting = terms[terms["inequality"] == "bernstein"].assign(inequality="betting", complexity_bpd=0.0)
    rows = terms_rows(metrics, pd.concat([terms, betting]))
    assert {row["ours_bpd"] for row in rows if row["term"] == "complexity"} == {0.0}


# ---- page ----------------------------------------------------------------------------------------


def test_the_page_answers_from_the_data(frames, page):
    assert "## Does gamma follow depth?\n\n**Yes, it rises, in 2 of 2 tests.**" in page
    assert "**The data cannot tell.**" in page
    assert "for a claim 5 seeds are advised (1.24)" in page
    models = frames.metrics[frames.metrics["model"] == "sublora"]
    below = int((models["bound_best_bpd"] < 8).sum())
    assert f"log2 V = 8: {below} of {len(models)} certificates by our bound" in page
    best = models["bound_best_bpd"].min()
    assert f"The lowest bound of ours is {best:.3f}" in page
    assert f"{best + 0.03:.3f}" in page, "quoted as the best of all"
    assert "15 of 192 certificates: fixed 0.2: training failed: out of memory" in page


def test_the_page_compares_with_the_equal_split(frames, page):
    rows = frames.metrics.query("d == 2000 and levels == 3").set_index(["mode", "seed"])
    own, equal = rows.loc["fixed_0.8"], rows.loc["fixed_0.5"]
    wins = [(own["code_bits"] <= equal["code_bits"]) & (own["risk_bpd"] < equal["risk_bpd"])]
    wins += [(equal["code_bits"] <= own["code_bits"]) & (equal["risk_bpd"] < own["risk_bpd"])]
    assert f"fixed 0.8 at d = 2,000: {wins[0].sum()} for, {wins[1].sum()} against, of 3" in page


def test_other_gates_give_another_page(frames, page):
    falling = frames.gates.assign(gamma=1 - frames.gates["gamma"], split=frames.gates["budget"] - frames.gates["split"])
    other = page_md(sections(changed(frames, gates=falling), "digits", 0.95))
    assert "**Yes, it falls, in 2 of 2 tests.**" in other
    assert other != page


def test_a_study_without_results_cannot_tell(none_finished):
    text = page_md(sections(none_finished, "digits", 0.95))
    assert text.count("**The data cannot tell.**") == 4
    assert "No certificate has been made yet." in text
    assert "4 of 4 certificates: uniform, learned: interrupted" in text


# ---- files ---------------------------------------------------------------------------------------


def test_all_files_are_written_and_equal_inputs_give_equal_bytes(frames, tmp_path):
    first, second = (write(frames, tmp_path / directory) for directory in ("first", "second"))
    names = {f"{name}.{kind}" for name in COLUMNS for kind in ("csv", "tex")} | {"hypotheses.md", "sublora_tables.tex"}
    assert {path.name for path in first.iterdir()} == names | {"write_sublora_tables_manifest.json"}
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    rows = read_rows(first / "summary_table.csv")
    assert tuple(rows[0]) == COLUMNS["summary_table"]
    assert len(rows) == len(summary_rows(frames, 0.95))


@pytest.mark.tools
@pytest.mark.parametrize("source", ["frames", "none_finished"])
def test_the_tables_compile(source, request, tmp_path):
    needs("pdflatex", "texlive-latex-recommended")
    frames = request.getfixturevalue(source)
    reasons = "".join(SPECIAL) + r"\end{document}" + "".join(map(chr, range(32, 127)))
    tmp_path = write(changed(frames, missing=frames.missing.assign(reason=reasons)), tmp_path)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "sublora_tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
