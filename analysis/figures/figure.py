"""A drawn figure with what a report says about it."""

import re
from dataclasses import dataclass

from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure.

    Attributes:
        name: of its files, e.g. ``figure_2_ce1_ce2``.
        title: what it shows.
        caption: how to read it and what to see in it; whole sentences.
        alt: what someone who cannot see it must know, one sentence.
        drawing: made by matplotlib, without pyplot, so nothing is global and nothing leaks.
    """

    name: str
    title: str
    caption: str
    alt: str
    drawing: Drawing


def name_of(what: str, network: str) -> str:
    """Name of a figure that there is one of for each network, e.g. ``repeats_fcn_unet``."""
    return f"{what}_{re.sub(r'[^a-z0-9]+', '_', network.lower())}"
