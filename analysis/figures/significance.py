"""Which trials can be told from the leader, by measure and region."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Patch
from numpy.typing import NDArray

from analysis.absent import Absent
from analysis.figures.cells import LESS, MORE, NO_TINT, ColumnHeads, draw_cells, tint
from analysis.figures.figure import Figure
from analysis.figures.style import (
    FAINT_INK,
    GRID,
    INK,
    new_figure,
    region_title,
    style,
)
from analysis.figures.trial_rows import name_rows, row_height_in, shown_trials, tell_left_out
from analysis.findings import Findings
from analysis.significance import Significance
from tune_knee import keys

_TITLE: Final = "Trials against the leader"
_NUMBERED_COLUMNS: Final = 10  # in more there is no room for a number beside the symbol
_MEASURES: Final = {keys.SCORE: "Score", keys.OVERLAP: "overlap", keys.DISTANCE_PX: "distance"}
_BETTER: Final = "▲"
_WORSE: Final = "▼"
_OTHER: Final = "≠"
_TINTS: Final = {_BETTER: MORE, _WORSE: LESS, _OTHER: FAINT_INK}
_WORDS: Final = {_BETTER: "better than the leader", _WORSE: "worse", _OTHER: "different"}


def draw_significance(
    findings: Findings, labels: Mapping[str, str], trials: pd.DataFrame
) -> Figure | Absent:
    """Corrected p of each trial against the leader, for the score and each region; best on top.

    Args:
        findings: of the ranking.
        labels: trial to its words.
        trials: all of the study's, for colours and markers.
    """
    significance = findings.significance
    if significance is None:
        return Absent(
            title=_TITLE, reason="The test set has one case; tests over cases need two or more."
        )
    tests = _judge(significance)
    pairs = tests[["measure", keys.REGION]].drop_duplicates()
    columns = list(pairs.itertuples(index=False, name=None))
    shown = shown_trials(findings.ranking)
    with style():
        heads = ColumnHeads.of([_head(*column) for column in columns])
        figure = new_figure(row_height_in(len(shown)) * len(shown) + heads.height_in + 0.4)
        axes = figure.subplots()
        name_rows(axes, shown, labels, trials)
        _draw_tests(axes, tests, shown, columns, significance)
        heads.draw(axes)
        _explain(figure, set(tests["verdict"]), significance.level)
    return Figure(
        name="significance",
        title=_TITLE,
        caption=_caption(tests, significance, labels) + tell_left_out(findings.ranking),
        alt=f"Which of {len(shown)} trials can be told from {labels[significance.leader]}.",
        drawing=figure,
    )


def _judge(significance: Significance) -> pd.DataFrame:
    """The tests with ``verdict``: a symbol where a trial can be told from the leader, or none."""
    tests = significance.tests
    upward = np.where(tests["measure"] == keys.DISTANCE_PX, -1, 1) * np.sign(tests["difference"])
    # A median distance that is no number: the overlap of the region says who found it.
    overlap = tests[tests["measure"] == keys.OVERLAP].set_index([keys.TRIAL, keys.REGION])
    places = pd.MultiIndex.from_frame(tests[[keys.TRIAL, keys.REGION]])
    found = np.sign(overlap["difference"]).reindex(places).to_numpy()
    direction = np.where(np.isnan(upward), found, upward)
    told = (tests["p_holm"] < significance.level).to_numpy()
    verdict = np.select([direction > 0, direction < 0], [_BETTER, _WORSE], _OTHER)
    return tests.assign(verdict=np.where(told, verdict, ""))


def _head(measure: str, region: str) -> str:
    name = _MEASURES[measure]
    return f"{region_title(region)}, {name}" if region else name


def _draw_tests(
    axes: Axes,
    tests: pd.DataFrame,
    shown: list[str],
    columns: list[tuple[str, str]],
    significance: Significance,
) -> None:
    tints: NDArray[np.float64] = np.full((len(shown), len(columns), 4), NO_TINT)
    texts = [[""] * len(columns) for _ in shown]
    inks = [[FAINT_INK] * len(columns) for _ in shown]
    row_of = {trial: row for row, trial in enumerate(shown)}
    numbered = len(columns) <= _NUMBERED_COLUMNS
    for test in tests[tests[keys.TRIAL].isin(shown)].to_dict("records"):
        row = row_of[test[keys.TRIAL]]
        column = columns.index((test["measure"], test[keys.REGION]))
        symbol = test["verdict"]
        if symbol:
            strength = _strength(test["p_holm"], significance.level)
            tints[row, column] = tint(_TINTS[symbol], strength)
            inks[row][column] = INK
        number = _number(test["p_holm"]) if numbered else ""
        texts[row][column] = f"{symbol} {number}".strip()
    draw_cells(axes, tints, texts, size=5.5, inks=inks)
    axes.text(
        (len(columns) - 1) / 2,
        row_of[significance.leader],
        "the leader, to which all others are compared",
        size=6,
        ha="center",
        va="center_baseline",
        bbox={"facecolor": GRID, "edgecolor": "none", "pad": 1.5},
    )


def _strength(p: float, level: float) -> float:
    return float(np.interp(-np.log10(max(p, 1e-9)), [-np.log10(level), 4], [0.2, 1]))


def _number(p: float) -> str:
    if np.isnan(p):
        return "–"
    if p < 0.001:
        return "<.001"
    return f"{p:.3f}".lstrip("0") if p < 0.0995 else f"{p:.2f}".lstrip("0")


def _explain(figure: Drawing, verdicts: set[str], level: float) -> None:
    handles = [
        Patch(facecolor=tint(_TINTS[symbol], 0.6), label=f"{symbol} {_WORDS[symbol]}")
        for symbol in (_BETTER, _WORSE, _OTHER)
        if symbol in verdicts or symbol != _OTHER
    ]
    handles.append(Patch(facecolor="none", edgecolor=GRID, label=f"not told apart (p ≥ {level:g})"))
    figure.legend(handles=handles, loc="outside lower right", ncols=len(handles))


def _caption(tests: pd.DataFrame, significance: Significance, labels: Mapping[str, str]) -> str:
    by_score = tests[tests["measure"] == keys.SCORE]
    apart = by_score["verdict"] != ""
    alike = [labels[trial] for trial in by_score.loc[~apart, keys.TRIAL]]
    named = ", ".join(alike[:3]) + (", …" if len(alike) > 3 else "")
    hope = significance.smallest_p * len(by_score)
    return (
        f"Wilcoxon signed-rank tests over {significance.cases} cases against "
        f"{labels[significance.leader]}, two-sided, p Holm-corrected over the trials of a "
        "column; the stronger the colour, the smaller p. "
        f"By the score of each case, {apart.sum()} of {len(by_score)} trials can be told from the "
        f"leader at {significance.level:g}"
        + (f"; {len(alike)} cannot: {named}." if alike else ".")
        + (
            f" With {significance.cases} cases no p can be below {significance.smallest_p:.2g}, "
            f"corrected {min(hope, 1):.2g}: no trial could be told from it, whatever it did."
            if hope >= significance.level
            else ""
        )
    )
