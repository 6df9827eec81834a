"""What trials make of typical frames and sequences."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.absent import Absent
from analysis.figures.outlines import draw_outlines
from analysis.figures.sequences import draw_region_sequences, draw_sequences
from analysis.findings import Findings
from analysis.load import STATUS
from analysis.pictures import Pictures
from analysis.ranking import RANK
from analysis.report.contents import Block, Section
from analysis.report.sources import Sources
from analysis.tables.region_scores import rank_in_region
from analysis.typical import TypicalSequence, frames_of, typical_frame, typical_sequences
from tune_knee import keys

_ALL_REGIONS: Final = "Figure 5. The best trial along typical sequences"
_HARDEST: Final = "Figure 7. The hardest region along typical sequences"


def pictures_section(sources: Sources) -> Section:
    """One typical frame by every trial; typical sequences by the best ones."""
    pictures = sources.pictures
    blocks: tuple[Block, ...]
    if isinstance(pictures, Absent):
        blocks = (pictures,)
    else:
        blocks = (_draw_frame(sources, pictures), *_draw_sequences(sources, pictures))
    return Section(anchor="pictures", title="Pictures", blocks=blocks)


def _draw_frame(sources: Sources, pictures: Pictures) -> Block:
    typical = typical_frame(sources.frames)
    chosen = pd.DataFrame({keys.CASE: [typical.case], keys.FRAME: [typical.frame]})
    trials = sources.study.trials
    tested = trials.loc[trials[STATUS] == keys.STATUS_TESTED, keys.TRIAL]
    predicted: dict[str, NDArray[np.uint8]] = {}
    for trial in tqdm(tested, desc="loading masks", unit="trial", disable=None):
        masks = sources.masks(trial, chosen)
        if masks is not None:
            predicted[trial] = masks[0]
    return draw_outlines(trials, sources.frames, pictures, typical, predicted)


def _draw_sequences(sources: Sources, pictures: Pictures) -> tuple[Block, ...]:
    if sources.findings is None:
        reason = "There is no ranking to take the best trial from."
        return tuple(Absent(title=title, reason=reason) for title in (_ALL_REGIONS, _HARDEST))
    sequences = typical_sequences(sources.frames, pictures.frames)
    leader = str(sources.findings.ranking[keys.TRIAL].iloc[0])
    first = _first_in(sources.findings, sources.study.hardest_region)
    return (
        _along(sources, pictures, sequences, leader, None),
        _along(sources, pictures, sequences, first, sources.study.hardest_region),
    )


def _along(
    sources: Sources,
    pictures: Pictures,
    sequences: tuple[TypicalSequence, ...],
    trial: str,
    region: str | None,
) -> Block:
    label = sources.labels[trial]
    predicted = sources.masks(trial, frames_of(sequences))
    if predicted is None:
        return Absent(
            title=_ALL_REGIONS if region is None else _HARDEST,
            reason=f"{label} kept no predicted masks; they are kept when a trial is tested.",
        )
    frames = sources.frames[sources.frames[keys.TRIAL] == trial]
    if region is None:
        return draw_sequences(sequences, pictures, predicted, frames, label)
    return draw_region_sequences(sequences, pictures, predicted, frames, label, region)


def _first_in(findings: Findings, region: str) -> str:
    ranked = rank_in_region(findings.scores, region).sort_values(RANK, kind="stable")
    return str(ranked[keys.TRIAL].iloc[0])
