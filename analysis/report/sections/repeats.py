"""How much another seed changes, where a study repeated its points."""

from collections.abc import Sequence

import pandas as pd

from analysis.absent import Absent
from analysis.figures.repeats import draw_repeats
from analysis.repeats import Repeats, analyse_repeats
from analysis.report.contents import Block, Topic
from analysis.search import Objective
from analysis.tables.search_repeats import noise_table, repeated_points_table
from tune_knee import keys


def noise_between_seeds(
    finished: pd.DataFrame, networks: Sequence[str], objectives: Sequence[Objective]
) -> tuple[Block, ...]:
    """Seeds set against points, per network and objective; nothing where none was repeated.

    Args:
        finished: trials that were trained to their end, as `load.Study.trials`.
        networks: in the order shown.
        objectives: in the order shown.
    """
    if not (finished[keys.REPEAT] > 0).any():
        return ()
    blocks: list[Block] = [
        Topic(
            title="How much is noise?",
            text="The same point trained with other seeds, set against other points.",
        )
    ]
    found: list[Repeats] = []
    for network in networks:
        results = [analyse_repeats(finished, network, objective) for objective in objectives]
        blocks += [result for result in results if isinstance(result, Absent)]
        split = [result for result in results if not isinstance(result, Absent)]
        if split:
            blocks.append(draw_repeats(split, networks))
        found += split
    for objective in objectives:
        group = [each for each in found if each.objective == objective]
        if group:
            blocks += [noise_table(group), repeated_points_table(group)]
    return tuple(blocks)
