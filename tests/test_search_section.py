import dataclasses

import numpy as np
import pytest
from made_search import made_search

from analysis.absent import Absent
from analysis.figures.figure import Figure
from analysis.recommendation import recommend
from analysis.repeats import analyse_repeats
from analysis.report.contents import Topic
from analysis.report.sections.search import search_section
from analysis.response import fit_response
from analysis.search import DISTANCE, OVERLAP
from analysis.tables.latex import to_latex
from analysis.tables.search_pareto import pareto_table
from analysis.tables.search_recommended import recommended_table
from analysis.tables.search_repeats import noise_table, repeated_points_table
from analysis.tables.table import Table
from analysis.tau_lattice import TauLattice
from tune_knee import keys
from tune_knee.config import NETWORKS


def recommended(search, objective=OVERLAP):
    lattice = TauLattice.within(steps=20)
    return [
        recommend(fit_response(search, network, objective, lattice), draws=200)
        for network in search.networks
    ]


def by_title(table):
    """Cells of the first row by their heading."""
    titles = [" ".join(filter(None, (c.group, c.title))) for c in table.columns]
    return dict(zip(titles, table.cells()[0], strict=True))


class TestRecommended:
    def test_ranges_and_gain(self):
        search = made_search(points=40, networks=NETWORKS[:2], known=14, noise=0.003)
        found = recommended(search)
        table = recommended_table(found)
        assert list(table.rows[keys.NETWORK]) == list(NETWORKS[:2])
        cells, first = by_title(table), found[0]
        low, high = first.ranges[0]
        assert cells["Recommended τ (95 % of draws) CE"] == (
            f"{first.tau[0]:.2f} ({low:.2f}–{high:.2f})"
        )
        assert cells["Gain over the grid Predicted (95 %)"].startswith(
            f"+{first.gain.predicted:.4f}"
        )
        assert table.columns[6].bold == [0, 1]
        assert "first 14 against the grid's 14" in table.caption

    def test_without_a_grid(self):
        table = recommended_table(recommended(made_search(points=10), DISTANCE))
        assert not any(column.group == "Gain over the grid" for column in table.columns)
        assert table.caption.endswith("No grid was given to compare with.")


class TestPareto:
    def test_tells_the_grid_from_the_search(self):
        search = made_search(points=6, known=10)
        rows = pareto_table(search).rows
        known = rows[keys.TRIAL].str.startswith("g")
        assert list(rows["origin"]) == ["grid" if grid else "search" for grid in known]

    def test_a_missing_distance_is_a_dash(self):
        search = made_search(points=6)
        search.trials.loc[2, OVERLAP.key] = 0.99
        search.trials.loc[2, DISTANCE.key] = np.nan
        assert "–" in pareto_table(search).cells()[-1]

    def test_learning_rates_where_they_differ(self):
        plain, rated = (made_search(points=6, rates=rates) for rates in (False, True))
        assert "Learning rate" not in by_title(pareto_table(plain))
        assert "Learning rate" in by_title(pareto_table(rated))

    def test_absent_before_the_first_is_finished(self):
        search = made_search(points=3)
        search.trials["status"] = keys.STATUS_RUNNING
        assert isinstance(pareto_table(search), Absent)


class TestRepeats:
    def test_noise_and_points(self):
        search = made_search(points=4, seeds=3)
        found = [analyse_repeats(search.finished, NETWORKS[0], OVERLAP)]
        noise = by_title(noise_table(found))
        assert noise["Points"] == "4"
        assert noise["Standard deviation Between seeds"].startswith(f"{found[0].seed_sd:.4f} (")
        points = by_title(repeated_points_table(found))
        best = found[0].points.iloc[0]
        assert points["Mean ± SD"] == f"{best['mean']:.4f} ± {best['sd']:.4f}"


@pytest.fixture(scope="module")
def whole():
    search = made_search(
        points=16, networks=NETWORKS[:2], seeds=2, known=12, missing=0.5, pruned=0.1
    )
    return search_section(search, seed=1)


class TestSection:
    def test_has_all_of_it_under_different_names(self, whole):
        assert whole.anchor == "search"
        assert not any(isinstance(block, Absent) for block in whole.blocks)
        figures = [block.name for block in whole.blocks if isinstance(block, Figure)]
        assert figures == [
            "pareto_front",
            "response_fcn_unet",
            "response_pspnet_r50c",
            "search_history",
            "importance",
            "repeats_fcn_unet",
            "repeats_pspnet_r50c",
        ]
        tables = [block.name for block in whole.blocks if isinstance(block, Table)]
        assert len(set(tables)) == len(tables) == 7

    def test_tables_can_be_set(self, whole):
        for table in (block for block in whole.blocks if isinstance(block, Table)):
            assert table.name in to_latex(table)

    def test_says_what_three_trials_cannot_tell(self):
        blocks = search_section(made_search(points=3)).blocks
        reasons = [block.reason for block in blocks if isinstance(block, Absent)]
        assert sum("5 different τ" in reason for reason in reasons) == 2
        assert sum("10 finished trials" in reason for reason in reasons) == 2
        assert sum("one seed" in reason for reason in reasons) == 1

    def test_maps_the_best_six_networks_and_says_how_many_are_left_out(self):
        names = tuple(f"smp:Unet:resnet{n}" for n in range(8))
        search = made_search(points=40, networks=names)
        worse = search.trials[keys.NETWORK].isin([names[1], names[4]])
        search.trials.loc[worse, OVERLAP.key] /= 2
        blocks = search_section(dataclasses.replace(search, objectives=(OVERLAP,))).blocks
        maps = [b.name for b in blocks if isinstance(b, Figure) and b.name.startswith("response_")]
        assert maps == [f"response_smp_unet_resnet{n}" for n in (0, 2, 3, 5, 6, 7)]
        text = next(b.text for b in blocks if isinstance(b, Topic))
        assert "The maps of the 6 networks with the best overlap are drawn; 2 others" in text
        table = next(b for b in blocks if isinstance(b, Table) and b.name == "recommended_overlap")
        assert list(table.rows[keys.NETWORK]) == list(names)

    def test_says_what_counts_as_noise(self):
        plain, rated = (
            search_section(made_search(points=6, rates=rates)).blocks for rates in (False, True)
        )
        text, more = (
            next(b.text for b in blocks if isinstance(b, Topic)) for blocks in (plain, rated)
        )
        assert more == text + (
            " A map is over τ alone: what trials of a network differ in besides (learning rate) "
            "counts as noise in it."
        )
        captions = [
            next(b.caption for b in blocks if isinstance(b, Figure) and "response" in b.name)
            for blocks in (plain, rated)
        ]
        assert ["beside τ counts as noise here: learning rate." in c for c in captions] == [0, 1]


class TestUnmapped:
    def test_is_what_a_networks_trials_differ_in_beside_tau(self):
        search = made_search(points=12, networks=NETWORKS[:2], known=4)
        assert search.unmapped(NETWORKS[0]) == search.unmapped(NETWORKS[1]) == ()
        trials = search.trials.assign(**{keys.LEARNING_RATE: search.learning_rate})
        trials.loc[0, keys.BOUNDARY] = "other"
        changed = dataclasses.replace(search, trials=trials)
        assert changed.unmapped(NETWORKS[0]) == ("kind of boundary loss",)
        assert changed.unmapped(NETWORKS[1]) == ()  # the grid's rate is the same
