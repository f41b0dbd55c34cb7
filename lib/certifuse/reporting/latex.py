"""LaTeX tables from plain text: every special character is escaped, only booktabs and longtable are needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "λ": r"$\lambda$",
    "√": r"$\surd$",
    "−": r"$-$",
    "±": r"$\pm$",
}


@dataclass(frozen=True)
class TableRow:
    """The cells of one row as plain text; a remark fills all columns to the right of the last cell.

    There is some space between rows of different groups.
    """

    cells: tuple[str, ...]
    remark: str | None = None
    group: Any = None


def escape(text: str) -> str:
    """The text for LaTeX, on one line; a character that LaTeX's basic fonts lack becomes a question mark."""
    line = " ".join(text.split())
    return "".join(SPECIAL.get(one, one if one.isascii() and one.isprintable() else "?") for one in line)


def longtable(name: str, caption: str, columns: Sequence[tuple[str, str]], rows: Sequence[TableRow]) -> str:
    """A table that breaks over pages and can be included by `\\input`.

    Args:
        name: the label is `tab:<name>`.
        caption: plain text.
        columns: header (plain text) and alignment (l, r or c) of each.
        rows: from top to bottom.
    """
    header = " & ".join(escape(title) for title, _ in columns) + r" \\"
    lines = [
        rf"\begin{{longtable}}{{@{{}}{''.join(alignment for _, alignment in columns)}@{{}}}}",
        rf"\caption{{{escape(caption)}}}\label{{tab:{name}}}\\",
        rf"\toprule {header} \midrule",
        r"\endfirsthead",
        rf"\toprule {header} \midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
        *(_line(row, len(columns), before.group != row.group) for before, row in pairwise([*rows[:1], *rows])),
        r"\end{longtable}",
    ]
    return "\n".join(lines) + "\n"


def _line(row: TableRow, columns: int, space_above: bool) -> str:
    cells = [escape(cell) for cell in row.cells]
    if row.remark is not None:
        cells.append(rf"\multicolumn{{{columns - len(cells)}}}{{l}}{{\emph{{{escape(row.remark)}}}}}")
    elif len(cells) != columns:
        raise ValueError(f"expected {columns} cells, found {len(cells)}: {row.cells}")
    return (r"\addlinespace " if space_above else "") + " & ".join(cells) + r" \\"


def document(names: Sequence[str]) -> str:
    """A document that includes the tables beside it, to compile with pdflatex as it stands."""
    included = "\n".join(rf"\input{{{name}}}" for name in names)
    return rf"""\documentclass[a4paper,landscape]{{article}}
\usepackage{{booktabs}}
\usepackage{{longtable}}
\pdfpagewidth=\paperwidth
\pdfpageheight=\paperheight
\setlength{{\oddsidemargin}}{{-1.4cm}}
\setlength{{\topmargin}}{{-2cm}}
\setlength{{\textwidth}}{{27.5cm}}
\setlength{{\textheight}}{{17.5cm}}
\setlength{{\LTcapwidth}}{{\textwidth}}
\setlength{{\tabcolsep}}{{4pt}}
\begin{{document}}
\footnotesize
{included}
\end{{document}}
"""
