import csv
import subprocess
from pathlib import Path

import numpy as np
import pytest
from printed_bounds import column_of, rounded_up
from reporting_study import changed, written
from tools import needs

from certifuse.base.errors import UserError
from certifuse.reporting.certificates.choice import quoted
from certifuse.reporting.certificates.tables import (
    COLUMNS,
    certificate_rows,
    certificates_tex,
    crossing_rows,
    ledger_rows,
    ledger_tex,
)
from certifuse.reporting.frames import Frames
from certifuse.reporting.ledgers import NO_LEDGER
from certifuse.steps.write_certificate_tables import write_certificate_tables
from certifuse.study.steps.reporting import WriteCertificateTables

STEP = WriteCertificateTables(study="cifar100_small")


def write(frames: Frames, directory: Path) -> Path:
    """The directory with the tables of these frames, and the manifest."""
    write_certificate_tables(
        STEP, STEP.Files(source="0", **written(frames, directory), output_dir=directory / "tables")
    )
    return directory / "tables"


@pytest.fixture(scope="module")
def grid(make) -> Frames:
    """One scheme; two architectures, rules, lambdas and seeds."""
    return make(
        architectures=("resnet", "densenet"), fusions=("concatenation", "simpleAddition"), lambdas=("0.5", "1.0"),
        seeds=(0, 1), dimensions=(16, 256),
    )  # fmt: skip


def test_every_certificate_has_a_row_and_the_best_is_marked(grid):
    rows = certificate_rows(grid.certificates)
    assert len(rows) == len(grid.certificates) + 1
    trained = grid.certificates.query("kind == 'subspace'")
    (best,) = [row for row in rows if row["best"]]
    expected = trained.loc[trained["bound_percent"].idxmin()]
    assert {name: best[name] for name in COLUMNS["certificates"][:-2]} == {
        name: expected[name] for name in COLUMNS["certificates"][:-2]
    }
    assert [row["kind"] for row in rows[:3]] == ["prior", "prior", "joint"]


def test_the_last_row_is_the_best_at_its_share_of_delta(grid):
    *rows, last = certificate_rows(grid.certificates)
    (best,) = [row for row in rows if row["best"]]
    source = grid.certificates.query("kind == 'subspace'").sort_values("bound_percent").iloc[0]
    inequality, percent = quoted(source.to_dict(), 8)
    assert (last["kind"], last["candidates"], last["delta"]) == ("quoted", 8, 0.05 / 8)
    assert (last["bound_percent"], last["inequality"]) == (percent, inequality)
    assert (last["code_bits"], last["errors"], last["best"]) == (best["code_bits"], best["errors"], 0)
    assert quoted(source.to_dict(), 1)[1] == pytest.approx(best["bound_percent"])
    assert 0 < last["bound_percent"] - best["bound_percent"] < 0.5
    text = certificates_tex([*rows, last], "small")
    assert f"{rounded_up(best['bound_percent'], 2)} * &" in text
    assert (
        f"delta / M = 0.00625: {rounded_up(percent, 2)} instead of {rounded_up(best['bound_percent'], 2)}, by binomial."
        in text
    )
    zero_bit = grid.certificates.query("kind == 'prior' and architecture == 'densenet'").set_index("seed")
    assert f"its own prior is {rounded_up(zero_bit['bound_percent'][best['seed']], 2)}." in text


def test_latex_shows_the_rounded_numbers(one):
    rows = certificate_rows(one.certificates)
    row = rows[2]
    assert (row["d"], row["levels"]) == (16, 3)
    line = (
        f"resnet & concatenation & 1.0 & 0 & subspace & 16 & 3 & 10,000 & {row['risk_percent']:.2f} & "
        f"{row['code_bits']:.0f} & {rounded_up(row['bound_percent'], 2)} & excess betting & "
        rf"{rounded_up(row['held_out_bound_percent'], 2)} & {row['test_percent']:.2f} \\"
    )
    assert line in certificates_tex(rows, "small")
    assert rf"resnet &  &  & 0 & prior & 0 &  & 10,000 & {rows[0]['risk_percent']:.2f} & 0 &" in certificates_tex(
        rows, "small"
    )


def test_no_bound_is_printed_below_its_value_and_a_vacuous_one_is_called_so(grid):
    rows = [row for row in certificate_rows(grid.certificates) if row["kind"] != "quoted"]
    tex = certificates_tex(rows, "small")
    for header, name in {r"certified (\%)": "bound_percent", r"held out (\%)": "held_out_bound_percent"}.items():
        cells = column_of(tex, header)
        assert len(cells) == len(rows)
        for cell, row in zip(cells, rows, strict=True):
            assert cell.split(" ")[0] == ("" if row[name] is None else rounded_up(row[name], 2))
    vacuous = ["vacuous" in cell for cell in column_of(tex, r"certified (\%)")]
    assert vacuous == [row["bound_percent"] >= 100 for row in rows]
    assert 0 < sum(vacuous) < len(rows)


def test_several_schemes_have_a_column(study):
    text = certificates_tex(certificate_rows(study.certificates), "small")
    assert r"\toprule scheme & architecture" in text
    assert "by\\_class & resnet & concatenation & 0.5" in text


def test_the_ledger_is_that_of_the_best_certificates_and_adds_up(grid):
    rows = ledger_rows(grid.certificates, grid.ledgers)
    trained = grid.certificates.query("kind == 'subspace'")
    best = trained.loc[trained.groupby(["architecture", "fusion"])["bound_percent"].idxmin()]
    totals = {(row["architecture"], row["fusion"]): row for row in rows if row["charge"] == "total"}
    assert len(rows) == 4 * 4
    for certificate in best.to_dict("records"):
        total = totals[certificate["architecture"], certificate["fusion"]]
        assert [total[name] for name in ("d", "levels", "lambda", "seed", "bits", "share_percent")] == [
            *(certificate[name] for name in ("d", "levels", "lambda", "seed", "code_bits")),
            100.0,
        ]
    charges = [row for row in rows if row["charge"] != "total"]
    assert sum(row["share_percent"] for row in charges) == pytest.approx(400)
    assert {row["bits"] for row in charges if row["charge"] == "codebook"} == {14.5}
    assert "codebook & 14.5 &" in ledger_tex(rows, "small")


def test_a_ledger_that_does_not_add_up_is_refused(one):
    with pytest.raises(UserError, match=r"expected charges of .* bits together, found"):
        ledger_rows(one.certificates, one.ledgers.assign(bits=one.ledgers["bits"] + 1))


def test_a_missing_ledger_is_said(one):
    rows = ledger_rows(one.certificates, one.ledgers.iloc[:0])
    assert [row["charge"] for row in rows] == [NO_LEDGER]
    assert f"missing: {NO_LEDGER}" in ledger_tex(rows, "small")


def test_crossings_say_the_dimension_or_none_with_the_margin(study):
    rows = crossing_rows(study.certificates)
    assert {row["scheme"]: row["crossing_d"] for row in rows} == {"iid": "none", "by_class": 64}
    for row in rows:
        assert row["margin_points"] == pytest.approx(row["bound_percent"] - row["zero_bit_percent"])
        assert (row["margin_points"] > 0) == (row["scheme"] == "iid")
        assert row["reason"] == ""
    (unknown,) = {row["crossing_d"] for row in crossing_rows(study.certificates.query("kind != 'prior'"))}
    assert unknown == ""


@pytest.mark.parametrize("rows", [None, 0, 1, 2])
def test_the_files_of_the_step(one, tmp_path, rows):
    tmp_path = write(changed(one, certificates=one.certificates[:rows]), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "write_certificate_tables_manifest.json",
        *("certificates.csv", "certificates.tex", "certificate_ledger.csv", "certificate_ledger.tex"),
        *("crossings.csv", "certificate_tables.tex"),
    }
    for name, columns in COLUMNS.items():
        with (tmp_path / f"{name}.csv").open(newline="") as stream:
            header, *values = csv.reader(stream)
        assert tuple(header) == columns
        assert not {"nan", "<NA>", "None"} & {value for row in values for value in row}
        assert bool(values) == (rows is None or rows > (0 if name == "certificates" else 1))


def test_equal_frames_give_equal_files_and_another_seed_gives_others(make, tmp_path):
    found = []
    for number, seed in enumerate((0, 0, 1)):
        files = write(make(seeds=(seed,)), tmp_path / str(number)).glob("*.[ct]*")
        found.append({path.name: path.read_bytes() for path in files})
    assert found[0] == found[1]
    assert found[0]["certificates.csv"] != found[2]["certificates.csv"]


def test_without_a_held_out_set_the_table_says_so(one, make):
    rows = certificate_rows(make(held_out=False).certificates)
    assert {row["held_out_bound_percent"] for row in rows} == {None}
    assert "keeps no held-out set" in certificates_tex(rows, "small")
    assert "keeps no held-out set" not in certificates_tex(certificate_rows(one.certificates), "small")


@pytest.mark.tools
@pytest.mark.parametrize("held_out", [True, False])
@pytest.mark.parametrize("rows", [None, 0])
def test_the_tables_compile(make, tmp_path, rows, held_out):
    needs("pdflatex", "texlive-latex-recommended")
    frames = make(architectures=("resnet", "densenet"), fusions=("TransformerBase",), held_out=held_out)
    renamed = frames.certificates.replace({"fusion": {"TransformerBase": "multiplicativeAddition"}})
    renamed = renamed.replace({"architecture": {"resnet": "improved_wide_resnet"}})
    ledgers = frames.ledgers.assign(charge=frames.ledgers["charge"] + r"_100%_&_\end")
    ledgers = ledgers.replace({"fusion": {"TransformerBase": "multiplicativeAddition"}})
    ledgers = ledgers.replace({"architecture": {"resnet": "improved_wide_resnet"}})
    tmp_path = write(Frames(certificates=renamed[:rows], ledgers=ledgers), tmp_path)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "certificate_tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "certificate_tables.pdf").stat().st_size > 10_000
    assert "Overfull" not in done.stdout


def test_every_bound_of_the_synthetic_study_is_above_its_risk(study):
    """The synthetic certificates are themselves certificates."""
    assert np.all(study.certificates["bound_percent"] >= study.certificates["risk_percent"])
