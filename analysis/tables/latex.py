"""A table as LaTeX, for booktabs."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from analysis.tables.table import Column, Table, column_groups

_LONGEST_FLOAT: Final = 40  # rows; longer tables break over pages
_LONGEST_TITLE: Final = 12  # characters; longer headings have a line for each word
_STACK: Final = r"\shortstack"
_PREAMBLE: Final = "% Needs \\usepackage{booktabs, longtable}.\n"
_ESCAPES: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\ensuremath{<}",
        ">": r"\ensuremath{>}",
        "±": r"\ensuremath{\pm}",
        "−": r"\ensuremath{-}",
        "≤": r"\ensuremath{\leq}",
        "≥": r"\ensuremath{\geq}",
        "×": r"\ensuremath{\times}",
        "τ": r"\ensuremath{\tau}",
        "–": "--",
        "…": r"\ldots{}",
    }
)


def to_latex(table: Table) -> str:
    """A ``table`` with caption and label, or a ``longtable`` over 40 rows; best in bold."""
    align = "".join("r" if column.is_number(table.rows) else "l" for column in table.columns)
    caption = rf"\caption{{{escape_latex(f'{table.title}. {table.caption}')}}}"
    label = rf"\label{{tab:{table.name}}}"
    head, body = _head(table.columns), _body(table)
    if len(table.rows) > _LONGEST_FLOAT:
        lines = [
            r"\begingroup\scriptsize\setlength{\LTcapwidth}{\linewidth}\setlength{\tabcolsep}{3pt}",
            rf"\begin{{longtable}}{{{align}}}",
            rf"{caption}{label}\\",
            *(r"\toprule", *head, r"\midrule\endfirsthead"),
            *(r"\toprule", *head, r"\midrule\endhead"),
            r"\bottomrule\endfoot",
            *body,
            r"\end{longtable}",
            r"\endgroup",
        ]
    else:
        lines = [
            r"\begin{table}[htbp]",
            r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
            caption,
            label,
            rf"\begin{{tabular}}{{{align}}}",
            *(r"\toprule", *head, r"\midrule"),
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    return _PREAMBLE + "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """Text with every character that LaTeX would take for a command made harmless."""
    return text.translate(_ESCAPES)


def _head(columns: Sequence[Column]) -> list[str]:
    titles = _row(_title(column.title) for column in columns)
    if not any(column.group for column in columns):
        return [titles]
    cells, rules, first = [], [], 1
    for group, width in column_groups(columns):
        last = first + width - 1
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{first}-{last}}}")
        first = last + 1
    return [_row(cells), "".join(rules), titles]


def _body(table: Table) -> Iterator[str]:
    for position, cells in enumerate(table.cells()):
        yield _row(
            _cell(cell, bold=position in column.bold)
            for cell, column in zip(cells, table.columns, strict=True)
        )


def _title(text: str) -> str:
    return _cell(text.replace(" ", "\n") if len(text) > _LONGEST_TITLE else text, bold=False)


def _cell(text: str, *, bold: bool) -> str:
    lines = [escape_latex(line) for line in text.split("\n")]
    if bold:
        lines = [rf"\textbf{{{line}}}" for line in lines]
    if len(lines) == 1:
        return lines[0]
    return _STACK + "[r]{" + r"\\".join(lines) + "}"


def _row(cells: Iterable[str]) -> str:
    row = " & ".join(cells)
    return row + (r" \\[2pt]" if _STACK in row else r" \\")
