import json
import subprocess
import sys

import pandas as pd
import pytest
from tracked_study import REGIONS, TRIALS, frames_of, log_test, track

from analysis.__main__ import main
from analysis.ranking import score_trials
from tune_knee.tracking_store import sqlite_uri

ROWS = """\
model,region,overlap,distance_px
a,femur,0.9,1.0
b,femur,0.9,2.0
a,tibia,0.5,4.0
b,tibia,,
"""


@pytest.fixture
def models(tmp_path):
    path = tmp_path / "models.csv"
    path.write_text(ROWS)
    return path


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    tracker = track(out, "knees", "s1")
    for number, trial in enumerate(("t1", "t2", "t3")):
        tracker.start_trial(trial, TRIALS[trial], seed=number, cpus=1, gpus=0)
        log_test(tracker, trial, frames_of(0.9 - number / 10), out)
    return sqlite_uri(out)


def printed_json(capsys, *arguments) -> dict:
    assert main([str(argument) for argument in arguments]) == 0
    return json.loads(capsys.readouterr().out)


class TestFile:
    def test_json_by_hand(self, models, capsys):
        content = printed_json(capsys, "rank", models, "--json")
        assert content["scores"] == [
            {"model": "a", "region": "femur", "score": 3.5},
            {"model": "b", "region": "femur", "score": 2.5},
            {"model": "a", "region": "tibia", "score": 4.0},
            {"model": "b", "region": "tibia", "score": 2.0},
        ]
        assert content["totals"] == [
            {"model": "a", "score": 7.5, "rank": 1},
            {"model": "b", "score": 4.5, "rank": 2},
        ]
        assert content["missing"] == [
            {"model": "b", "region": "tibia", "measure": "overlap"},
            {"model": "b", "region": "tibia", "measure": "distance_px"},
        ]
        assert content["means"][3]["overlap"] is None

    @pytest.mark.parametrize(("ties", "total"), [("average", 7.5), ("min", 7), ("max", 8)])
    def test_ties(self, models, capsys, ties, total):
        content = printed_json(capsys, "rank", models, "--json", "--ties", ties)
        assert content["totals"][0]["score"] == total

    def test_screen_names_what_is_missing(self, models, capsys):
        assert main(["rank", str(models)]) == 0
        printed = capsys.readouterr().out
        rows = [line.split() for line in printed.splitlines()]
        assert ["1", "a", "3.5", "4", "7.5"] in rows
        assert "no distance_px in tibia, and so last there: b" in printed.splitlines()

    def test_csv(self, models, tmp_path, capsys):
        out = tmp_path / "ranking.csv"
        assert main(["rank", str(models), "--csv", str(out)]) == 0
        assert out.read_text().splitlines() == [
            "rank,model,femur,tibia,score",
            "1,a,3.5,4.0,7.5",
            "2,b,2.5,2.0,4.5",
        ]
        assert "rank" in capsys.readouterr().out

    def test_ce1_of_a_file_is_scored(self, tmp_path, capsys):
        path = tmp_path / "losses.csv"
        path.write_text("loss,region,overlap,distance_px\nce1,femur,0.9,1\nce2,femur,0.8,2\n")
        content = printed_json(capsys, "rank", path, "--json")
        assert [total["model"] for total in content["totals"]] == ["ce1", "ce2"]

    def test_names_that_look_like_markup_are_shown_as_they_are(self, tmp_path, capsys):
        path = tmp_path / "models.csv"
        path.write_text("model,region,overlap,distance_px\n[bold]net[/x],femur,0.9,1\n")
        assert main(["rank", str(path)]) == 0
        assert "[bold]net[/x]" in capsys.readouterr().out

    def test_a_table_of_many_fits_80_columns(self, tmp_path, capsys):
        regions = ("patella", "femur", "tibia", "patellar_tendon")
        rows = [
            ("smp:DeepLabV3Plus:mobilenet_v2 ce2+dice+boundary 0.34:0.33:0.33" + str(n), r, 0.5, n)
            for n in range(200)
            for r in regions
        ]
        path = tmp_path / "models.csv"
        columns = ["model", "region", "overlap", "distance_px"]
        pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
        assert main(["rank", str(path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 80
        assert not any("…" in line for line in lines)


class TestStudy:
    def test_json_and_csv(self, uri, tmp_path, capsys):
        out = tmp_path / "ranking.csv"
        content = printed_json(
            capsys, "rank", "--study", "knees", "--tracking-uri", uri, "--json", "--csv", out
        )
        assert content["totals"] == [
            {"trial": "t2", "model": "fcn_unet ce2+dice 0.50:0.50", "score": 8.0, "rank": 1},
            {"trial": "t3", "model": "segformer_b2 ce2", "score": 4.0, "rank": 2},
        ]
        assert {row["region"] for row in content["scores"]} == set(REGIONS)
        assert content["unscored"] == [{"trial": "t1", "model": "fcn_unet ce1"}]
        assert content["budget"] == "preview"
        assert out.read_text().splitlines()[1] == "1,t2,fcn_unet ce2+dice 0.50:0.50,4.0,4.0,8.0"

    def test_it_is_scored_as_everywhere(self, uri, capsys):
        from analysis.load import load_study

        arguments = ["rank", "--study", "s1", "--tracking-uri", uri, "--json", "--ties", "max"]
        content = printed_json(capsys, *arguments)
        expected = score_trials(load_study(uri, "s1").tests, ties="max")
        assert [row["score"] for row in content["scores"]] == expected["score"].tolist()


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["rank"], "either FILE.csv or --study, got neither"),
            (["rank", "x.csv", "--study", "y"], "either FILE.csv or --study, got both"),
            (["rank", "--study", "y"], "must come together"),
            (["rank", "x.csv", "--tracking-uri", "y"], "must come together"),
            (["rank", "x.csv", "--csv", "x.csv"], "must not overwrite"),
            (["rank", "none.csv"], "readable file, got none.csv"),
        ],
    )
    def test_one_line_and_2(self, arguments, message, capsys):
        assert main(arguments) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("error: ")
        assert message in printed.err
        assert printed.err.count("\n") == 1

    def test_a_csv_that_cannot_be_written(self, models, tmp_path, capsys):
        assert main(["rank", str(models), "--csv", str(tmp_path / "none" / "x.csv")]) == 2
        assert "folder that is there" in capsys.readouterr().err

    def test_ctrl_c_ends_without_a_trace(self, models, monkeypatch):
        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("analysis.rank_command.read_metric_table", interrupt)
        assert main(["rank", str(models)]) == 130


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_a_file_waits_for_nothing_heavy(models):
    done = python(
        "import sys; from analysis.__main__ import main; "
        f"main(['rank', {str(models)!r}, '--json']); "
        "heavy = ('mlflow', 'scipy.stats', 'matplotlib', 'torch', 'ray'); "
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("form", ["", "--json"])
def test_a_reader_that_goes_away_sees_no_trace(tmp_path, form):
    path = tmp_path / "models.csv"
    rows = "".join(f"model {n},femur,0.5,{n}\n" for n in range(3000))
    path.write_text("model,region,overlap,distance_px\n" + rows)
    command = f"{sys.executable} -m analysis rank {path} {form} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stderr == ""
