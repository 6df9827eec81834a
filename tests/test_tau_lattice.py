import numpy as np
import pytest

from analysis.tau_lattice import TauLattice


class TestWithin:
    def test_covers_the_whole_triangle(self):
        lattice = TauLattice.within(steps=4)
        assert lattice.tau.shape == (15, 3)
        assert lattice.tau.sum(axis=1) == pytest.approx(1)
        for corner in np.eye(3):
            assert np.isclose(lattice.tau, corner).all(axis=1).any()
        assert not lattice.is_line

    def test_keeps_within_ranges_and_reaches_their_ends(self):
        tau = TauLattice.within((0.2, 0, 0.1), (0.6, 1, 0.5), steps=14).tau
        assert tau[:, 0].min() == pytest.approx(0.2)
        assert tau[:, 0].max() == pytest.approx(0.6)
        assert tau[:, 2].max() == pytest.approx(0.5)

    def test_starts_where_the_other_ranges_end(self):
        """CE is at least 0.7 where the others leave that much."""
        lattice = TauLattice.within((0, 0, 0), (1, 0.2, 0.1), steps=3)
        assert lattice.tau[:, 0].min() == pytest.approx(0.7)
        assert lattice.step == pytest.approx(0.1)

    def test_a_fixed_part_makes_a_line(self):
        lattice = TauLattice.within((0, 0.33, 0), (1, 0.33, 1), steps=10)
        assert lattice.is_line
        assert lattice.tau.shape == (11, 3)
        assert lattice.tau[:, 1] == pytest.approx(0.33)

    @pytest.mark.parametrize(
        ("low", "high"), [((0.5, 0.5, 0.1), (1, 1, 1)), ((0, 0, 0), (0.3, 0.3, 0.3))]
    )
    def test_refuses_ranges_beside_the_simplex(self, low, high):
        with pytest.raises(ValueError, match="hold a point of the simplex"):
            TauLattice.within(low, high)


def test_nearness_is_one_at_a_point_and_falls_alike_in_all_directions():
    lattice = TauLattice.within(steps=6)
    middle = int(np.isclose(lattice.tau, 1 / 3).all(axis=1).argmax())
    weights = lattice.nearness[middle]
    assert weights[middle] == 1
    one_step = np.isclose(np.abs(lattice.tau - lattice.tau[middle]).max(axis=1), lattice.step)
    assert one_step.sum() == 6
    assert weights[one_step] == pytest.approx(np.exp(-1 / 4.5))
