"""Names that must fit a place: how wide and high a text is about, and where it may break."""

import re
from typing import Final

_LETTER: Final = 0.6  # mean width of a letter and height of a line, per point of size
_LINE: Final = 1.22
_POINTS_PER_IN: Final = 72
_PARTS: Final = re.compile(r"[^ :+_-]*[ :+_-]|[^ :+_-]+")


def fold(name: str, letters: int) -> str:
    """A name in lines of at most so many letters, broken after space or one of ``:+_-``.

    A part without any of these stays whole, however long.

    >>> fold("ce2+dice+boundary", 9)
    'ce2+dice+\\nboundary'
    """
    lines = [""]
    for part in _PARTS.findall(name):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > letters:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def fold_to(name: str, width_in: float, size: float) -> str:
    """A name in lines that fit a width, at a size in points."""
    return fold(name, int(width_in / letter_in(size)))


def letter_in(size: float) -> float:
    """Mean width of a letter, in inches, at a size in points."""
    return _LETTER * size / _POINTS_PER_IN


def height_in(text: str, size: float) -> float:
    """Height of a text's lines, in inches, at a size in points; 0 of an empty text."""
    return (text.count("\n") + 1) * _LINE * size / _POINTS_PER_IN if text else 0.0


def longest_part_in(name: str, size: float) -> float:
    """Width of a name that is broken wherever it may be."""
    return letter_in(size) * max(map(len, fold(name, 1).split("\n")))
