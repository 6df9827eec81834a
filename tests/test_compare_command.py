import json

import pandas as pd
import pytest
from tracked_study import TRIALS, frames_of, log_test, track

from analysis.__main__ import main
from tune_knee.tracking_store import sqlite_uri


def tracked(out, name: str, study_id: str, *, shift: float) -> str:
    """A study of three trials; the last is tested in those with a shift of 0 only."""
    tracker = track(out, name, study_id)
    for number, trial in enumerate(("t1", "t2", "t3")):
        tracker.start_trial(trial, TRIALS[trial], seed=number)
        if trial != "t3" or shift == 0:
            frames = [frames_of(0.8 + shift + number / 20).assign(case=k) for k in ("k1", "k2")]
            log_test(tracker, trial, pd.concat(frames, ignore_index=True), out)
    tracker.flush()
    return sqlite_uri(out)


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    tracked(out, "knees", "s1", shift=0)
    tracked(out, "again", "s2", shift=0.05)
    return tracked(out, "knees", "s3", shift=0)


def printed(capsys, *arguments) -> str:
    assert main(["compare", *arguments]) == 0
    return capsys.readouterr().out


class TestCompare:
    def test_json(self, uri, capsys):
        (found,) = json.loads(printed(capsys, "s1", "again", "--tracking-uri", uri, "--json"))[
            "comparisons"
        ]
        assert (found["against"]["name"], found["study"]["name"]) == ("knees", "again")
        assert found["alone"] == ["segformer_b2 ce2 (running in again)"]
        assert found["cases"] == 2
        row = found["differences"][0]
        assert (row["model"], row["region"], row["measure"]) == ("fcn_unet ce1", "femur", "overlap")
        assert row["difference"] == pytest.approx(0.05)
        assert row["p"] == 0.5

    def test_screen(self, uri, capsys):
        out = printed(capsys, "s1", "again", "--tracking-uri", uri)
        words = " ".join(out.split())
        assert "Study again beside knees 2 trials are tested in both." in words
        assert "no single trial can reach 0.05" in words
        assert "segformer_b2 ce2 (" in words
        assert ["femur", "overlap", "2", "0", "0", "0", "+0.0500", "–"] in [
            line.split() for line in out.splitlines()
        ]
        assert max(map(len, out.splitlines())) <= 80

    def test_more_than_two_and_csv(self, uri, tmp_path, capsys):
        csv = tmp_path / "differences.csv"
        arguments = ("s1", "again", "s3", "--tracking-uri", uri, "--csv", str(csv), "--json")
        found = json.loads(printed(capsys, *arguments))["comparisons"]
        assert [one["study"]["name"] for one in found] == ["again", "knees s3"]
        assert {one["against"]["name"] for one in found} == {"knees s1"}
        rows = pd.read_csv(csv)
        assert rows.groupby("study").size().to_dict() == {"again": 2 * 4, "knees s3": 3 * 4}
        assert (rows.loc[rows["study"] == "knees s3", "difference"] == 0).all()

    def test_a_store_for_each_study(self, uri, tmp_path, capsys):
        elsewhere = tracked(tmp_path, "far", "s9", shift=0)
        arguments = ("s1", "far", "--tracking-uri", uri, "--tracking-uri", elsewhere, "--json")
        (found,) = json.loads(printed(capsys, *arguments))["comparisons"]
        assert found["study"]["tracking_uri"] == elsewhere
        assert found["alone"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s1", "--tracking-uri", "{uri}"], "two studies or more, got 1"),
        (["s1", "again", "s3", *["--tracking-uri", "{uri}"] * 2], "got 2 for 3 studies"),
        (["s1", "s1", "--tracking-uri", "{uri}"], "must be different ones, got knees twice"),
        (["s1", "none", "--tracking-uri", "{uri}"], "study must be one of those in"),
    ],
)
def test_errors_are_one_line(arguments, message, uri, capsys):
    assert main(["compare", *(argument.format(uri=uri) for argument in arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1
