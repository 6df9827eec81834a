"""A figure's SVG as a part of the page: in the page's inks, with ids of its own."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from markupsafe import Markup, escape

from analysis.figures.style import FAINT_INK, GRID, INK, PAPER

INKS: Final[Mapping[str, str]] = MappingProxyType(
    {INK: "--ink", FAINT_INK: "--faint-ink", GRID: "--grid", PAPER: "--paper"}
)
_ENLARGED: Final = 1.25  # at most, where the page is wide: a screen is read from farther away
_ROOT: Final = re.compile(r"<svg\b[^>]*>")
_VIEW_BOX: Final = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
# The page has neither use for metadata nor room for rules that would reach beyond the figure.
_LEFT_OUT: Final = re.compile(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", re.S)
_ID: Final = re.compile(r'(\bid="|\bhref="#|url\(#)')


def inline_svg(svg: str, name: str, alt: str) -> Markup:
    """What matplotlib wrote, to stand in an HTML page.

    Colours of `INKS` become the page's CSS variables, so that they follow light and dark;
    ids, which are one space in a page, begin with the figure's name.

    Args:
        svg: a whole SVG file.
        name: of the figure; no other in the page may have it.
        alt: what it shows, for those who do not see it.

    Raises:
        ValueError: if it is no SVG with a viewBox from the origin.
    """
    root = _ROOT.search(svg)
    size = root and _VIEW_BOX.search(root.group())
    if not root or not size:
        raise ValueError(f"svg must have a root with a viewBox, got {svg[:60]!r} of name={name}")
    body = _LEFT_OUT.sub("", svg[root.end() :]).replace("xlink:href", "href")
    body = _ID.sub(rf"\g<1>{name}-", body)
    for colour, variable in INKS.items():
        body = body.replace(colour, f"var({variable})")
    width, height = size.groups()
    head = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(alt)}" '
        f'style="max-width:{_ENLARGED * float(width):.0f}pt">'
    )
    return Markup(head + body)
