from dataclasses import replace

import pytest
from made_study import made_study

from analysis.absent import Absent
from analysis.beside_grid import BesideGrid
from analysis.ranking import RANK, rank_trials, score_trials
from analysis.report.sections.refined import refined_section
from analysis.tables.refined import REFINED, TOP, joint_ranking, refined_table
from analysis.tables.table import Table
from tune_knee import keys
from tune_knee.config import NETWORKS

NOTE = "Ranked with the 13 tested trials of paper."


@pytest.fixture
def field() -> BesideGrid:
    """Three networks x five losses; the later the better; one refined leads, one is low."""
    study, _ = made_study()
    return BesideGrid(study=study, refined=frozenset({"t1", "t14"}), grid="paper", notes=(NOTE,))


def test_the_ranking_is_that_of_all(field):
    ranked = joint_ranking(field)
    expected = rank_trials(score_trials(field.study.tests))
    assert ranked[[keys.TRIAL, keys.SCORE, RANK]].equals(expected[[keys.TRIAL, keys.SCORE, RANK]])
    assert len(ranked) == 12  # without the three of ce1
    assert set(ranked.loc[ranked[REFINED], keys.TRIAL]) == {"t1", "t14"}
    regions = ranked[["score_femur", "score_patellar_tendon"]].sum(axis=1)
    assert regions.tolist() == ranked[keys.SCORE].tolist()


def test_the_table_has_the_first_ten_and_every_refined_point(field):
    ranked = joint_ranking(field)
    last = ranked[keys.TRIAL].iloc[-1]
    rows = refined_table(replace(field, refined=frozenset({last}))).rows
    assert rows[keys.TRIAL].tolist() == [*ranked[keys.TRIAL].head(TOP), last]
    assert rows[REFINED].tolist() == [False] * TOP + [True]


def test_the_section_sets_each_networks_best_beside_the_grids(field):
    section = refined_section(field)
    intro, by_network, table = section.blocks
    assert isinstance(intro, str)
    assert NOTE in intro
    assert isinstance(by_network, str)
    sentences = by_network.split(". ")
    places = joint_ranking(field).set_index(keys.TRIAL)[RANK]
    for network, refined in ((NETWORKS[0], "t1"), (NETWORKS[2], "t14")):
        (said,) = [sentence for sentence in sentences if sentence.startswith(network)]
        own, grid = said.split("; of the grid's, ")
        assert own.endswith(f"is number {places[refined]} of 12")
        assert grid.startswith(network)
    assert isinstance(table, Table)


def test_a_network_that_the_grid_has_not_stands_alone(field):
    theirs = field.study.trials[keys.NETWORK] == NETWORKS[2]
    of_one = frozenset(field.study.trials.loc[theirs, keys.TRIAL])
    said = refined_section(replace(field, refined=of_one)).blocks[1]
    assert isinstance(said, str)
    assert "of the grid's" not in said


def test_without_a_grid_the_reason_stands_there(field):
    alone = replace(field, grid=None, notes=("Ranked alone: no grid was named.",))
    (absent,) = refined_section(alone).blocks
    assert isinstance(absent, Absent)
    assert absent.reason == "Ranked alone: no grid was named."
