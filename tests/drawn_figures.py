"""What can be checked of any drawn figure: that its words can be read, and its inks follow."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure as Drawing
from matplotlib.text import Text

from analysis.figures.figure import Figure
from analysis.figures.style import FAINT_INK, INK, PAGE_WIDTH_IN, style

_SLACK_PX = 1.0


def words_of(drawing: Drawing) -> list[Text]:
    """All texts that are drawn: tick labels outside of an axes' limits are not."""
    with style():
        FigureCanvasAgg(drawing).draw()
    hidden = set()
    for axes in drawing.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high:
                    hidden |= {tick.label1, tick.label2}
    found = drawing.findobj(Text)
    return [text for text in found if text.get_visible() and text.get_text() and text not in hidden]


def unreadable(drawing: Drawing) -> list[str]:
    """Words that stick out of the figure or lie on others."""
    words = words_of(drawing)
    boxes = np.array([text.get_window_extent().extents for text in words])
    low, high = boxes[:, :2] + _SLACK_PX, boxes[:, 2:] - _SLACK_PX
    width, height = drawing.bbox.width, drawing.bbox.height
    outside = (low < 0).any(axis=1) | (high > [width, height]).any(axis=1)
    problems = [f"outside: {words[number].get_text()}" for number in np.flatnonzero(outside)]
    apart = (low[:, None] >= high).any(axis=-1) | (high[:, None] <= low).any(axis=-1)
    for one, other in np.argwhere(np.triu(~apart, k=1)):
        problems.append(f"overlap: {words[one].get_text()} and {words[other].get_text()}")
    return problems


def check_figure(figure: Figure) -> None:
    """Readable, as wide as a page, in inks that the page can replace, and told in sentences."""
    problems = unreadable(figure.drawing)
    assert not problems, problems[:8]
    assert figure.drawing.get_figwidth() == PAGE_WIDTH_IN
    inks = {to_hex(text.get_color()) for text in words_of(figure.drawing)}
    assert inks <= {INK, FAINT_INK}
    for sentence in (figure.caption, figure.alt):
        assert sentence.endswith(".")
        assert "nan" not in sentence.lower().split()
