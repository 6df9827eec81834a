from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_knee.data.dataset import SPLITS
from tune_knee.data.problems import Problems
from tune_knee.data.splitting import parse_shares, read_split, split_by_shares

PAPER = (0.665, 0.117, 0.218)


def frames_by_split(frames_by_case: dict[str, int], split: dict[str, str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for case, frames in frames_by_case.items():
        counts[split[case]] += frames
    return counts


@given(
    st.lists(st.integers(1, 40), min_size=3, max_size=30),
    st.lists(st.integers(1, 10), min_size=3, max_size=3),
    st.integers(0, 100),
)
def test_every_case_is_in_one_split_and_none_is_empty(
    frames: list[int], parts: list[int], seed: int
) -> None:
    cases = {f"knee_{n}": count for n, count in enumerate(frames)}
    train, validation, test = (part / sum(parts) for part in parts)
    split = split_by_shares(cases, (train, validation, test), seed)
    assert set(split) == set(cases)
    assert set(split.values()) == set(SPLITS)


@given(st.lists(st.integers(1, 40), min_size=20, max_size=64), st.integers(0, 100))
def test_the_frames_are_near_the_shares(frames: list[int], seed: int) -> None:
    cases = {f"knee_{n}": count for n, count in enumerate(frames)}
    got = frames_by_split(cases, split_by_shares(cases, PAPER, seed))
    for name, share in zip(SPLITS, PAPER, strict=True):
        assert abs(got[name] - share * sum(frames)) <= max(frames)


def test_the_best_cuts_are_taken() -> None:
    cases = {f"knee_{n}": 10 for n in range(10)}
    got = frames_by_split(cases, split_by_shares(cases, (0.6, 0.1, 0.3), 0))
    assert got == {"train": 60, "validation": 10, "test": 30}


def test_the_smallest_share_still_has_a_case() -> None:
    cases = {"a": 100, "b": 100, "c": 100}
    split = split_by_shares(cases, (0.98, 0.01, 0.01), 3)
    assert sorted(split.values()) == ["test", "train", "validation"]


def test_the_seed_is_honoured_and_the_order_of_cases_is_not() -> None:
    cases = {f"knee_{n}": 20 + n % 3 for n in range(64)}
    reversed_cases = dict(reversed(cases.items()))
    assert split_by_shares(cases, PAPER, 1) == split_by_shares(reversed_cases, PAPER, 1)
    drawn = [split_by_shares(cases, PAPER, seed) for seed in range(5)]
    assert all(one != other for one, other in pairwise(drawn))
    splits = [split_by_shares(cases, PAPER, seed)["knee_0"] for seed in range(200)]
    tested = splits.count("test") / len(splits)
    assert 0.1 < tested < 0.35  # a case is tested about as often as the share says


def test_two_cases_cannot_make_three_splits() -> None:
    with pytest.raises(ValueError, match=r"at least 3 cases, got 2; .*--case-from"):
        split_by_shares({"a": 50, "b": 50}, PAPER, 0)


def test_shares_are_read() -> None:
    assert parse_shares("0.665:0.117:0.218") == PAPER


@pytest.mark.parametrize(
    "text", ["0.5:0.5", "0.5:0.3:0.1:0.1", "a:b:c", "", "0.8:0.2:0", "0.8:0.3:-0.1", "0.7:0.2:0.2"]
)
def test_shares_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=f"got split={text}"):
        parse_shares(text)


def read(path: Path, text: str, cases: set[str]) -> tuple[dict[str, str], list[str]]:
    path.write_text(text)
    problems = Problems()
    return dict(read_split(path, cases, problems)), problems.lines


def test_a_csv_is_read(tmp_path: Path) -> None:
    text = "case,side,split\n001, left, train\nb,right,validation\nc,left,test\nc,left,test\n"
    split, problems = read(tmp_path / "split.csv", text, {"001", "b", "c"})
    assert split == {"001": "train", "b": "validation", "c": "test"}
    assert problems == []


def test_all_that_a_csv_lacks_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    text = "case,split\na,train\na,test\nb,valid\nx,train\n"
    _, problems = read(path, text, {"a", "b", "c"})
    assert problems == [
        f"{path}: case a must be in one split, got train and test; remove a row",
        f"{path}: split of case b must be one of train, validation, test, got valid; correct it",
        f"{path}: case c must have a row, got none; add it",
        f"{path}: case x must be in the source, got none; remove the row",
        f"{path}: split validation must have a case, got none; move a case to validation",
        f"{path}: split test must have a case, got none; move a case to test",
    ]


def test_a_csv_without_its_columns(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must have the columns case and split, got name, split"):
        read(tmp_path / "split.csv", "name,split\na,train\n", {"a"})


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00"])
def test_a_csv_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "split.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"split must be a CSV file, got split=.*split\.csv"):
        read_split(path, {"a"}, Problems())
