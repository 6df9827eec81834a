"""A report as one HTML page that needs nothing beside it."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analysis.absent import Absent
from analysis.figures.figure import Figure
from analysis.report.contents import Block, Command, Contents, Terms, Topic
from analysis.report.svg import inline_svg
from analysis.tables.table import Column, Table, column_groups

FIGURES: Final = "figures"
TABLES: Final = "tables"
GENERATOR: Final = "tune_knee analysis"
_TEMPLATE: Final = "report.html.j2"
_STYLE: Final = "report.css"
_HEAVIEST_SVG: Final = 1_500_000  # characters; a heavier figure stands in the page as PNG
_MOST_ROWS: Final = 200  # of a table in the page; the CSV has all
_KINDS: Final[Mapping[type, str]] = {
    str: "paragraph",
    Topic: "topic",
    Terms: "terms",
    Command: "command",
    Table: "table",
    Figure: "figure",
    Absent: "absent",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A table's cell in the page.

    Attributes:
        lines: its text.
        classes: of CSS.
        heads_row: it names the row.
    """

    lines: list[str]
    classes: str
    heads_row: bool


def render_page(contents: Contents, drawn: Path) -> str:
    """The page as HTML.

    Args:
        contents: what it says.
        drawn: folder with the figures' PNG and SVG files.
    """
    environment = Environment(
        loader=PackageLoader("analysis", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        kind=_kind,
        picture=partial(_picture, drawn),
        head=column_groups,
        body=_body,
        is_number=lambda column, table: column.is_number(table.rows),
        most_rows=_MOST_ROWS,
        figures=FIGURES,
        tables=TABLES,
        generator=GENERATOR,
        style=Markup(resources.files("analysis.report").joinpath(_STYLE).read_text("utf-8")),
    )
    return environment.get_template(_TEMPLATE).render(contents=contents)


def _kind(block: Block) -> str:
    return _KINDS[type(block)]


def _picture(folder: Path, figure: Figure) -> Markup:
    svg = (folder / f"{figure.name}.svg").read_text("utf-8")
    if len(svg) <= _HEAVIEST_SVG:
        return inline_svg(svg, figure.name, figure.alt)
    png = b64encode((folder / f"{figure.name}.png").read_bytes()).decode()
    return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(png, figure.alt)


def _body(table: Table) -> list[list[Cell]]:
    numbers = [column.is_number(table.rows) for column in table.columns]
    head = next((place for place, number in enumerate(numbers) if not number), 0)
    return [
        [
            Cell(
                lines=text.split("\n"),
                classes=_classes(column, position, number=number),
                heads_row=place == head,
            )
            for place, (text, column, number) in enumerate(
                zip(texts, table.columns, numbers, strict=True)
            )
        ]
        for position, texts in enumerate(table.cells()[:_MOST_ROWS])
    ]


def _classes(column: Column, position: int, *, number: bool) -> str:
    return " ".join(["number"] * number + ["best"] * (position in column.bold))
