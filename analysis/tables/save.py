"""Tables to files: CSV for programs, LaTeX for papers."""

from pathlib import Path

from analysis.tables.latex import to_latex
from analysis.tables.table import Table


def write_csv(table: Table, folder: Path) -> Path:
    """Write ``<name>.csv``: all rows and columns in full precision; empty where missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{table.name}.csv"
    table.rows.to_csv(path, index=False)
    return path


def write_latex(table: Table, folder: Path) -> Path:
    """Write ``<name>.tex``: what is shown, to be input in a document with booktabs."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{table.name}.tex"
    path.write_text(to_latex(table), encoding="utf-8")
    return path
