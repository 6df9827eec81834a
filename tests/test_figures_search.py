import dataclasses

import numpy as np
import pytest
from drawn_figures import check_figure, words_of
from made_search import made_search
from matplotlib.colors import to_hex

from analysis.absent import Absent
from analysis.figures.importance import draw_importance
from analysis.figures.pareto import draw_pareto
from analysis.figures.repeats import draw_repeats
from analysis.figures.save import save_figure
from analysis.figures.search_history import draw_search_history
from analysis.figures.ternary import draw_response
from analysis.figures.ternary_axes import to_plane, triangulate
from analysis.importance import parameter_importance
from analysis.pareto import pareto_front
from analysis.recommendation import recommend
from analysis.repeats import analyse_repeats
from analysis.response import fit_response
from analysis.search import DISTANCE, OVERLAP
from analysis.tau_lattice import TauLattice
from tune_knee import keys
from tune_knee.config import NETWORKS

LONG_NAMES = tuple(f"smp:UnetPlusPlus{n}:timm-efficientnet-b{n}" for n in range(8))


@pytest.fixture(scope="module")
def small():
    return made_search(points=12)


@pytest.fixture(scope="module")
def large():
    return made_search(
        points=60, networks=NETWORKS[:3], known=45, missing=0.6, pruned=0.2, noise=0.02, rates=True
    )


@pytest.fixture(scope="module")
def long_names():
    return made_search(points=40, networks=LONG_NAMES, known=16, seeds=2, noise=0.05)


def maps(search, lattice):
    found = [fit_response(search, search.networks[0], aim, lattice) for aim in search.objectives]
    return [(response, recommend(response, draws=200)) for response in found]


class TestAnySize:
    @pytest.mark.parametrize("draw", [draw_pareto, draw_search_history])
    @pytest.mark.parametrize("size", ["small", "large", "long_names"])
    def test_readable_and_small_on_disk(self, draw, size, request, tmp_path):
        figure = draw(request.getfixturevalue(size))
        check_figure(figure)
        _, svg = save_figure(figure, tmp_path)
        assert svg.stat().st_size < 1_000_000

    @pytest.mark.parametrize(
        "lattice",
        [
            TauLattice.within(steps=20),
            TauLattice.within((0.3, 0, 0), (1, 0.4, 0.5), steps=20),
            TauLattice.within((0, 0.1, 0), (1, 0.1, 1), steps=20),
        ],
        ids=["whole", "part", "line"],
    )
    @pytest.mark.parametrize("size", ["small", "large"])
    def test_maps(self, lattice, size, request):
        figure = draw_response(maps(request.getfixturevalue(size), lattice))
        check_figure(figure)
        assert figure.name == "response_fcn_unet"

    def test_importance_and_repeats(self, long_names):
        check_figure(draw_importance([parameter_importance(long_names, OVERLAP)]))
        found = [
            analyse_repeats(long_names.finished, LONG_NAMES[0], aim) for aim in (OVERLAP, DISTANCE)
        ]
        figure = draw_repeats(found, long_names.networks)
        check_figure(figure)
        assert figure.name == "repeats_smp_unetplusplus0_timm_efficientnet_b0"


class TestPareto:
    def test_names_the_front_by_number(self, large):
        figure = draw_pareto(large)
        front = pareto_front(large.finished).dropna(subset=[DISTANCE.key])
        texts = [text.get_text() for text in words_of(figure.drawing)]
        for number, (_, row) in enumerate(front.iterrows(), start=1):
            assert str(number) in texts
            assert any(text.startswith(f"{number}  {row[keys.NETWORK]}") for text in texts)

    def test_says_how_many_have_no_distance(self, large):
        missing = int(large.finished[DISTANCE.key].isna().sum())
        assert f"{missing} trials never found a region" in draw_pareto(large).caption

    def test_absent_without_a_distance(self, small):
        trials = small.trials.assign(**{DISTANCE.key: np.nan})
        found = draw_pareto(dataclasses.replace(small, trials=trials))
        assert isinstance(found, Absent)


class TestHistory:
    def test_best_so_far_never_falls_and_ends_at_the_best(self, large):
        axes = draw_search_history(large).drawing.axes
        finished = large.finished
        best = [panel.lines for panel in axes]
        overlap = next(line for line in best[0] if len(line.get_ydata()) == len(finished))
        assert (np.diff(overlap.get_ydata()) >= 0).all()
        assert overlap.get_ydata()[-1] == finished[OVERLAP.key].max()
        distance = next(line for line in best[1] if len(line.get_ydata()) == len(finished))
        assert distance.get_ydata()[-1] == finished[DISTANCE.key].min()
        assert (np.diff(best[2][0].get_ydata()) >= -1e-12).all()

    def test_one_objective_has_no_area(self, small):
        figure = draw_search_history(dataclasses.replace(small, objectives=(OVERLAP,)))
        check_figure(figure)
        assert len(figure.drawing.axes) == 1

    def test_without_any_distance_has_no_area(self, small):
        trials = small.trials.assign(**{DISTANCE.key: np.nan})
        figure = draw_search_history(dataclasses.replace(small, trials=trials))
        check_figure(figure)
        assert len(figure.drawing.axes) == 2

    def test_absent_before_the_first_is_finished(self, small):
        trials = small.trials.assign(status=keys.STATUS_RUNNING)
        assert isinstance(draw_search_history(dataclasses.replace(small, trials=trials)), Absent)


class TestTriangle:
    def test_corners_and_middle(self):
        assert to_plane(np.eye(3)) == pytest.approx(
            np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]])
        )
        assert to_plane(np.full(3, 1 / 3)) == pytest.approx([0.5, np.sqrt(3) / 6])

    def test_fills_the_lattice_and_nothing_beside_it(self):
        """A lattice with a corner cut off: no triangle reaches across the cut."""
        lattice = TauLattice.within((0, 0, 0), (1, 1, 0.5), steps=10)
        mesh = triangulate(lattice)
        kept = mesh.get_masked_triangles()
        corners = np.stack([mesh.x, mesh.y], axis=-1)[kept]
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        area = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).sum() / 2
        assert area == pytest.approx(0.75 * np.sqrt(3) / 4)

    def test_map_is_coloured_by_the_data_alone(self, small):
        figure = draw_response(maps(small, TauLattice.within(steps=20)))
        fills = figure.drawing.axes[0].collections[0].get_facecolor()
        assert len({to_hex(colour) for colour in fills}) > 5
