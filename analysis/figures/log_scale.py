"""A logarithmic scale that is read without exponents, also over less than a decade."""

from typing import Final, Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

_SPAN: Final = 20


def spread_out(axes: Axes, which: Literal["x", "y"], values: "pd.Series[float]") -> None:
    """Set a logarithmic scale if the values are positive and span more than twenty times.

    Ticks stand at 1, 2, 5 and their tens, as plain numbers.
    """
    if not values.max() > _SPAN * values.min() > 0:
        return
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
