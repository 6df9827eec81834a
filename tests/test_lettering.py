import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures.lettering import fold, fold_to, height_in, letter_in, longest_part_in

LONG = "smp:DeepLabV3Plus:mobilenet_v2 ce2+dice+boundary 0.34:0.33:0.33"
names = st.text(alphabet="ab0.:+_- ", min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("name", "letters", "lines"),
    [
        ("ce2+dice+boundary", 17, ["ce2+dice+boundary"]),
        ("ce2+dice+boundary", 16, ["ce2+dice+", "boundary"]),
        ("ce2+dice+boundary", 1, ["ce2+", "dice+", "boundary"]),
        ("deeplabv3plus_r50c", 15, ["deeplabv3plus_", "r50c"]),
        ("fcn_unet ce2", 8, ["fcn_unet", "ce2"]),  # the space at a line's end takes no room
        ("segformer", 3, ["segformer"]),
        (LONG, 20, ["smp:DeepLabV3Plus:", "mobilenet_v2 ce2+", "dice+boundary 0.34:", "0.33:0.33"]),
    ],
)
def test_fold_by_hand(name, letters, lines):
    assert fold(name, letters).split("\n") == lines


@given(names, st.integers(0, 45))
def test_folding_loses_nothing_and_only_whole_parts_are_too_long(name, letters):
    lines = fold(name, letters).split("\n")
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    for line in lines:
        assert len(line) <= max(letters, 1) or not set(line[:-1]) & set(" :+_-")


def test_sizes():
    assert letter_in(12) == pytest.approx(0.1)
    assert fold_to("ce2+dice", 0.5, 12) == "ce2+\ndice"
    assert fold_to("ce2+dice", 0.81, 12) == "ce2+dice"
    assert height_in("", 10) == 0
    assert height_in("a\nb", 10) == 2 * height_in("a", 10) > 0.2
    assert longest_part_in("ce2+dice+boundary", 12) == pytest.approx(0.8)
