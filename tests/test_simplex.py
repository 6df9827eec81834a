import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tune_knee.simplex import UNITS, SimplexRegion, rounded

WHOLE = SimplexRegion((0, 0, 0), (1, 1, 1))
CORNERS = np.eye(3)
REGIONS = [
    WHOLE,
    SimplexRegion((0.1, 0.2, 0), (1, 1, 1)),
    SimplexRegion((0, 0, 0), (0.5, 0.6, 0.7)),
    SimplexRegion((0.48, 0, 0), (0.52, 1, 1)),
    SimplexRegion((0, 0, 0), (1, 1, 0.1)),
    SimplexRegion((0.1, 0.1, 0.1), (0.3, 0.9, 0.5)),
]
ONE_FIXED = [
    (SimplexRegion((0, 0.2, 0.2), (1, 0.2, 1)), (0, 2)),
    (SimplexRegion((0, 0, 0), (0, 1, 1)), (1, 2)),
    (SimplexRegion((0.1, 0, 0), (0.5, 0.7, 0)), (0, 1)),
]


def draw(region, count, seed=0):
    """Shares at uniform coordinates. Shape (count, 3)."""
    draws = np.random.default_rng(seed).uniform(size=(count, len(region.free) - 1))
    return np.array([region.share(each) for each in draws])


@st.composite
def regions(draw):
    """Regions with two or three free parts, their ranges in units of 0.0001."""
    inside = draw(st.tuples(st.integers(0, UNITS), st.integers(0, UNITS)).map(sorted))
    point = np.diff([0, *inside, UNITS])
    fixed = draw(st.sampled_from([None, 0, 1, 2]))
    below = [0 if i == fixed else draw(st.integers(0, int(point[i]))) for i in range(3)]
    above = [0 if i == fixed else draw(st.integers(1, UNITS)) for i in range(3)]
    low, high = point - below, np.minimum(point + above, UNITS)
    free = low < high
    if free.sum() < 2 or low.sum() == UNITS or high.sum() == UNITS:
        return WHOLE
    return SimplexRegion(tuple(map(float, low / UNITS)), tuple(map(float, high / UNITS)))


units = st.floats(0, 1)
pairs = st.tuples(units, units)


@pytest.mark.parametrize(
    ("coordinates", "share"),
    [
        ((0, 0), (0, 0, 1)),
        ((0, 1), (0, 1, 0)),
        ((1, 0.3), (1, 0, 0)),
        ((0.75, 0.5), (0.5, 0.25, 0.25)),  # 1 - √0.25; half of the rest
        ((5 / 9, 0.5), (1 / 3, 1 / 3, 1 / 3)),
    ],
)
def test_the_whole_simplex_is_breaking_a_stick(coordinates, share):
    assert WHOLE.share(coordinates) == pytest.approx(share, abs=1e-12)


def test_uniform_coordinates_are_the_flat_dirichlet():
    shares = draw(WHOLE, 4000)
    for part in range(3):
        assert stats.kstest(shares[:, part], stats.beta(1, 2).cdf).pvalue > 0.05
    # of the flat Dirichlet: means 1/3, variances 1/18, covariances -1/36
    assert shares.mean(axis=0) == pytest.approx([1 / 3] * 3, abs=0.01)
    assert np.cov(shares.T) == pytest.approx(np.eye(3) / 12 - 1 / 36, abs=0.002)


def test_a_draw_that_is_not_uniform_would_be_found():
    shares = np.random.default_rng(0).uniform(size=(4000, 3))
    shares /= shares.sum(axis=1, keepdims=True)
    assert stats.kstest(shares[:, 0], stats.beta(1, 2).cdf).pvalue < 1e-6


@pytest.mark.parametrize("region", REGIONS[1:])
def test_within_ranges_too_the_draw_is_uniform(region):
    drawn = np.random.default_rng(1).dirichlet([1, 1, 1], 300_000)
    kept = drawn[((drawn >= region.low) & (drawn <= region.high)).all(axis=1)]
    shares = draw(region, 2000)
    for part in range(3):
        assert stats.ks_2samp(shares[:, part], kept[:, part]).pvalue > 0.01


@pytest.mark.parametrize(("region", "free"), ONE_FIXED)
def test_with_one_part_fixed_the_others_share_the_rest_evenly(region, free):
    assert region.free == list(free)
    low, middle, high = (region.share([u]) for u in (0, 0.5, 1))
    assert middle == pytest.approx((low + high) / 2)
    fixed = ({0, 1, 2} - {*free}).pop()
    assert low[fixed] == high[fixed] == region.low[fixed]
    first, second = free
    assert low[first] == max(region.low[first], 1 - region.high[second] - low[fixed])
    assert high[first] == pytest.approx(
        min(region.high[first], 1 - region.low[second] - low[fixed])
    )


@given(regions(), pairs)
def test_every_share_is_within_its_region(region, coordinates):
    share = region.share(coordinates)
    assert share.sum() == pytest.approx(1, abs=1e-12)
    assert (share >= np.array(region.low) - 1e-9).all()
    assert (share <= np.array(region.high) + 1e-9).all()


@given(regions(), pairs)
def test_coordinates_lead_back_to_the_share(region, coordinates):
    share = region.share(coordinates)
    found = region.coordinates(share)
    assert len(found) == len(region.free) - 1
    assert all(0 <= u <= 1 for u in found)
    assert region.share(found) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize(
    "share", [*CORNERS, (0.5, 0.5, 0), (0, 0.9, 0.1), (0.1, 0, 0.9), (0.34, 0.33, 0.33)]
)
def test_what_a_grid_has_faces_included_is_reached_exactly(share):
    found = WHOLE.share(WHOLE.coordinates(share))
    assert found == pytest.approx(share, abs=1e-12)
    assert rounded(found, WHOLE) == tuple(share)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        ((0.12344, 0.5, 0.37656), (0.1234, 0.5, 0.3766)),
        ((1 / 3, 1 / 3, 1 / 3), (0.3334, 0.3333, 0.3333)),
        ((0.3, 0.6901, 0.0099), (0.3, 0.7, 0.0)),
        ((0.3, 0.69, 0.01), (0.3, 0.69, 0.01)),
        ((0.0099, 0.9802, 0.0099), (0.0, 1.0, 0.0)),
        ((0.004, 0.005, 0.991), (0.0, 0.0, 1.0)),
    ],
)
def test_rounding_keeps_the_sum_and_snaps_to_the_faces(share, expected):
    assert rounded(np.array(share), WHOLE) == expected


@pytest.mark.parametrize(
    ("region", "share"),
    [
        (SimplexRegion((0, 0, 0.005), (1, 1, 1)), (0.5, 0.494, 0.006)),  # 0 is not in the range
        (SimplexRegion((0, 0, 0), (0.5, 0.5, 1)), (0.497, 0.497, 0.006)),  # nobody has room
    ],
)
def test_nothing_snaps_out_of_its_range(region, share):
    assert rounded(np.array(share), region) == share


@given(regions(), pairs)
def test_a_rounded_share_sums_to_one_within_the_ranges(region, coordinates):
    parts = np.array(rounded(region.share(coordinates), region)) * UNITS
    exact = np.rint(parts).astype(int)
    assert parts == pytest.approx(exact, abs=1e-6)
    assert exact.sum() == UNITS
    assert (exact >= np.rint(np.array(region.low) * UNITS)).all()
    assert (exact <= np.rint(np.array(region.high) * UNITS)).all()


def test_faces_have_a_positive_probability():
    on_a_face = [0.0 in rounded(share, WHOLE) for share in draw(WHOLE, 2000)]
    assert np.mean(on_a_face) == pytest.approx(1 - 0.97**2, abs=0.02)
