import subprocess

import pytest
from reporting_study import changed, written
from tools import needs

from certifuse.reporting.latex import SPECIAL, TableRow, escape, longtable
from certifuse.steps.write_tables import write_tables
from certifuse.study.steps.reporting import WriteTables

COLUMNS = [("name", "l"), ("share_%", "r")]


def test_every_special_character_is_escaped():
    assert escape(r"50% of a_b & {c} #1 $x$ \y ~ ^") == (
        r"50\% of a\_b \& \{c\} \#1 \$x\$ \textbackslash{}y \textasciitilde{} \textasciicircum{}"
    )
    assert escape("λ = 0.5 ± 0.1") == r"$\lambda$ = 0.5 $\pm$ 0.1"


def test_text_is_one_line_that_every_font_can_show():
    assert escape("killed\n\n\tby 网 signal\x07") == "killed by ? signal?"


def test_header_caption_and_cells_are_escaped():
    text = longtable("t", "50% & more", COLUMNS, [TableRow(("a_b", "<1"))])
    assert r"\caption{50\% \& more}\label{tab:t}\\" in text
    assert r"\toprule name & share\_\% \\ \midrule" in text
    assert r"a\_b & \textless{}1 \\" in text


def test_a_remark_fills_the_row_and_groups_are_apart():
    rows = [TableRow((name,), "missing: no_result", group) for name, group in (("a", 1), ("b", 1), ("c", 2))]
    lines = longtable("t", "caption", COLUMNS, rows).splitlines()[-4:-1]
    remark = r" & \multicolumn{1}{l}{\emph{missing: no\_result}} \\"
    assert lines == [f"a{remark}", f"b{remark}", rf"\addlinespace c{remark}"]


def test_a_row_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="expected 2 cells, found 1"):
        longtable("t", "caption", COLUMNS, [TableRow(("a",))])


@pytest.mark.tools
@pytest.mark.parametrize("finished", [True, False])
def test_the_tables_compile(frames, spent, tmp_path, finished):
    needs("pdflatex", "texlive-latex-recommended")
    reasons = "".join(SPECIAL) + r"\end{document}" + "".join(map(chr, range(32, 127)))
    missing = frames.missing.assign(reason=reasons)
    rows = slice(None) if finished else slice(0)
    told = changed(
        frames, summary=frames.summary[rows], comparison=frames.comparison[rows], missing=missing, costs=spent
    )
    read = written(told, tmp_path / "read", "summary", "comparison", "missing", "costs")
    step = WriteTables(study="cifar100_small", confidence=0.95, bootstrap_samples=2000)
    write_tables(step, step.Files(source="0", **read, output_dir=tmp_path))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "tables.pdf").stat().st_size > 10_000
    assert "Overfull" not in done.stdout
