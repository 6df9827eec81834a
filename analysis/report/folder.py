"""The report's folder: page, figures and tables, there as a whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tqdm import tqdm

from analysis.figures.save import save_figure
from analysis.report.contents import Contents
from analysis.report.page import FIGURES, GENERATOR, TABLES, render_page
from analysis.tables.save import write_csv, write_latex

PAGE: Final = "report.html"
_HEAD: Final = 1000  # characters of a page that name its maker
_OURS: Final = {FIGURES: (".png", ".svg"), TABLES: (".csv", ".tex")}


def write_report(contents: Contents, out: Path) -> Path:
    """Write ``report.html``, ``figures/`` and ``tables/``; returns the page's path.

    All is written aside and then renamed, so that a reader never finds half a report, nor
    one made of two; a former report at `out` is replaced.

    Raises:
        ValueError: see `require_free`.
    """
    require_free(out)
    with _aside(out) as folder:
        for figure in tqdm(contents.figures, desc="drawing figures", unit="figure", disable=None):
            save_figure(figure, folder / FIGURES)
        for table in contents.tables:
            write_csv(table, folder / TABLES)
            write_latex(table, folder / TABLES)
        (folder / PAGE).write_text(render_page(contents, folder / FIGURES), encoding="utf-8")
    return out / PAGE


def require_free(out: Path) -> None:
    """Make sure that nothing would be lost at `out`.

    Raises:
        ValueError: if it is a file, or a folder with anything in it but a report of ours.
    """
    if not out.exists() or (out.is_dir() and _is_report(out)):
        return
    raise ValueError(
        f"out must be a new or empty folder, or one with a former report and nothing else, got "
        f"out={out}; name another, or clear it"
    )


def _is_report(folder: Path) -> bool:
    """Whether a folder holds what `write_report` writes, or nothing, and no more."""
    names = {path.name for path in folder.iterdir()}
    if not names:
        return True
    page = folder / PAGE
    if PAGE not in names or not names <= {PAGE, *_OURS}:
        return False
    return GENERATOR in page.read_text(encoding="utf-8", errors="replace")[:_HEAD] and all(
        path.is_file() and path.suffix in suffixes
        for name, suffixes in _OURS.items()
        if name in names
        for path in (folder / name).iterdir()
    )


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place if all goes well, and else is gone."""
    target = out.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as name:
        new, former = Path(name, "new"), Path(name, "former")
        new.mkdir()
        yield new
        if target.exists():
            target.rename(former)
        new.rename(target)
