import json
from collections import Counter

import pytest

from tune_knee import cost, run
from tune_knee.config import NETWORKS


@pytest.fixture(autouse=True)
def _known_speed(monkeypatch, tmp_path):
    monkeypatch.setattr(cost, "macs_per_second", lambda budget, device: 1e9)
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []  # nothing was started, nothing was written


def dry_run(capsys, *arguments):
    assert run.main(["--dry-run", *arguments]) == 0
    return capsys.readouterr().out


def test_the_papers_trials_as_json(capsys):
    content = json.loads(dry_run(capsys, "--grid", "paper", "--json", "--budget", "preview"))
    trials = content["trials"]
    assert len(trials) == 55
    for trial in trials:
        assert trial["network"] in NETWORKS
        assert isinstance(trial["experiment"], int)
        assert trial["loss"] in ("ce1", "ce2", "ce2+dice", "ce2+boundary", "ce2+dice+boundary")
        assert trial["tau_ce"] + trial["tau_dice"] + trial["tau_boundary"] == pytest.approx(1)
        assert trial["tera_macs"] > 0
    assert Counter(trial["network"] for trial in trials) == dict.fromkeys(NETWORKS, 11)
    assert {trial["experiment"] for trial in trials} == set(range(1, 26))
    assert (content["grid"], content["budget"]) == ("paper", "preview")
    assert content["hours"] == pytest.approx(sum(trial["hours"] for trial in trials))


def test_narrowed_to_one_network_and_two_losses(capsys):
    out = dry_run(capsys, "--network", "fcn_unet", "--loss", "ce1", "--loss", "ce2+dice", "--json")
    trials = json.loads(out)["trials"]
    assert [trial["loss"] for trial in trials] == ["ce1"] + ["ce2+dice"] * 3


def test_for_people_it_is_a_table_with_the_cost(capsys):
    out = dry_run(capsys, "--network", "fcn_unet", "--budget", "preview")
    assert out.splitlines()[0].startswith("Budget preview: asked for.")
    assert sum(line.split()[1:2] == ["fcn_unet"] for line in out.splitlines()) == 11
    assert "0.80:0.10:0.10" in out
    assert "Nothing was started." in out
    assert "11 trials of at most" in out


def test_a_grid_that_is_not_there_is_one_error_line(capsys):
    assert run.main(["--dry-run", "--grid", "nonsense"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_data_set_that_is_not_there_is_one_error_line(capsys):
    assert run.main(["--dry-run", "--data", "nowhere"]) == 2
    assert "a dataset folder must hold dataset.json, got data=nowhere" in capsys.readouterr().err


def test_a_search_is_as_many_trials_over_its_networks_in_turn(capsys):
    out = dry_run(capsys, "--grid", "continuous_tau", "--trials", "7", "--seeds", "2", "--json")
    trials = json.loads(out)["trials"]
    counts = Counter(trial["network"] for trial in trials)
    assert [counts[network] for network in NETWORKS] == [4, 4, 2, 2, 2]


def test_a_grid_can_be_trained_with_several_seeds(capsys):
    trials = json.loads(dry_run(capsys, "--grid", "ce2_only", "--seeds", "3", "--json"))["trials"]
    assert [trial.get("repeat", 0) for trial in trials] == [0, 1, 2] * 5


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("--grid paper --trials 30", "--trials must come with a search such as continuous_tau"),
        ("--grid paper --pruner asha", "--pruner must come with a search"),
        ("--grid paper --objective best/overlap", "--objective must come with a search"),
        ("--grid continuous_tau", "--trials must say how many points search continuous_tau"),
        ("--grid continuous_tau --trials 30 --loss ce1", "loss must be left out"),
        ("--grid continuous_tau --trials 30 --network vgg", "network must be one of fcn_unet"),
    ],
)
def test_options_of_grids_and_searches_are_not_mixed(line, problem, capsys):
    assert run.main(["--dry-run", *line.split()]) == 2
    assert f"error: {problem}" in capsys.readouterr().err
