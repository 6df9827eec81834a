import json

import pytest
from tracked_study import TRIALS, frames_of, log_test, track

from analysis.__main__ import main
from tune_knee.tracking_store import sqlite_uri

BEST = "DeepLabV3+_R50c ce2+dice+boundary 0.50:0.25:0.25"
SECOND = "SegFormer_B2 ce2+dice 0.50:0.50"


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    tracker = track(out, "knees", "s1")
    for number, trial in enumerate(("t1", "t2", "t3")):
        tracker.start_trial(trial, TRIALS[trial], seed=number)
        log_test(tracker, trial, frames_of(0.9 - number / 10), out)
    return sqlite_uri(out)


def printed(capsys, *arguments) -> str:
    assert main(["paper", *arguments]) == 0
    return capsys.readouterr().out


class TestPaper:
    def test_json(self, capsys):
        content = json.loads(printed(capsys, "--json"))
        assert len(content["scores"]) == 200
        assert content["scores"][0] == {
            "model": "FCN_UNet ce2",
            "region": "patella",
            "score": 42.0,
            "published": 42,
            "lowest": 42.0,
            "highest": 42.0,
        }
        first, second = content["totals"][:2]
        assert (first["model"], first["score"], first["published"]) == (SECOND, 334.0, 334)
        assert (second["model"], second["score"], second["published"]) == (BEST, 333.5, 335)
        assert sum(row["possible"] for row in content["agreement"]) == 199
        assert [row["published"] for row in content["inconsistent"]] == [51]

    def test_max_ties_give_the_published_winner(self, capsys):
        totals = json.loads(printed(capsys, "--json", "--ties", "max"))["totals"]
        assert totals[0]["model"] == BEST
        assert totals[0]["score"] == 335.0

    def test_screen(self, capsys):
        out = printed(capsys)
        rows = [line.split() for line in out.splitlines()]
        assert ["all", "200", "160", "199"] in rows
        assert ["patellar", "tendon", "50", "48", "50"] in rows
        assert ["as", "published", "334", "335"] in rows
        assert ["average", "334", "333.5"] in rows
        words = " ".join(out.split())
        assert "printed 51, possible 52 to 53" in words
        assert "9 of the 9 means" in words
        assert max(map(len, out.splitlines())) <= 80


class TestBeside:
    def test_json(self, uri, capsys):
        arguments = ("--json", "--compare", "knees", "--tracking-uri", uri)
        beside = json.loads(printed(capsys, *arguments))["comparison"]
        assert beside["regions"] == ["femur", "tibia"]
        assert [row["model"] for row in beside["places"]] == [
            "FCN_UNet ce2+dice 0.50:0.50",
            "SegFormer_B2 ce2",
        ]
        assert beside["places"][0]["ours_rank"] == 1
        assert beside["unscored"] == ["fcn_unet ce1"]
        assert len(beside["not_in_study"]) == 48
        assert beside["budget"] == "preview"

    def test_screen_has_the_caveat(self, uri, capsys):
        out = printed(capsys, "--compare", "knees", "--tracking-uri", uri)
        words = " ".join(out.split())
        assert 'Study "knees" beside the paper: 2 shared models' in words
        assert "Not the same experiment" in words
        assert "under the budget preview" in words
        assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("option", ["--compare", "--tracking-uri"])
def test_a_study_and_its_store_come_together(option, capsys):
    assert main(["paper", option, "x"]) == 2
    assert "must come together" in capsys.readouterr().err
