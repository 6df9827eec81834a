import csv
import dataclasses
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import search_spaces
from search_spaces import Grid, load_grid, load_search, load_space, space_names
from tune_knee import keys
from tune_knee.config import (
    BUDGETS,
    NETWORKS,
    PAPER_BUDGET,
    PREVIEW_BUDGET,
    LossWeights,
    TrialConfig,
)
from tune_knee.search_config import LogRange, SearchConfig, SearchSpace, TauRanges

PAPER_TABLES = Path(__file__).parents[2] / "shared" / "paper"
NAMES_IN_PAPER = {
    "FCN_UNet": "fcn_unet",
    "PSPNet_R50c": "pspnet_r50c",
    "DeepLabV3+_R50c": "deeplabv3plus_r50c",
    "UPerNet_R50c": "upernet_r50c",
    "SegFormer_B2": "segformer_b2",
}
TWO = ["0.90:0.10", "0.50:0.50", "0.10:0.90"]


@pytest.fixture
def write(tmp_path):
    """Writes a grid's file and gives its path as text."""

    def write_grid(text, name="mine.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write_grid


def problems(path, kind="grid"):
    """The problems of a grid's or a search's file, one line each."""
    with pytest.raises(ValueError, match=f"must be a valid {kind}") as caught:
        load_space(path)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{path} must be a valid {kind}, got {len(lines)} problem(s):"
    return [line.strip() for line in lines]


def row(trial):
    return (trial.experiment, trial.network, trial.loss, *dataclasses.astuple(trial.tau))


def test_paper_has_55_trials_in_25_experiments():
    trials = load_grid("paper").trials
    assert len(trials) == 55
    assert Counter(trial.experiment for trial in trials) == {
        5 * k + i: 1 if i < 3 else 3 for k in range(5) for i in range(1, 6)
    }
    assert [trial.experiment for trial in trials] == sorted(trial.experiment for trial in trials)
    assert Counter(trial.network for trial in trials) == dict.fromkeys(NETWORKS, 11)
    assert row(trials[0]) == (1, "fcn_unet", "ce1", 1, 0, 0)
    assert row(trials[13]) == (8, "pspnet_r50c", "ce2+dice", 0.9, 0.1, 0)
    assert row(trials[27]) == (14, "deeplabv3plus_r50c", "ce2+boundary", 0.9, 0, 0.1)
    assert row(trials[-1]) == (25, "segformer_b2", "ce2+dice+boundary", 0.5, 0.25, 0.25)


def test_paper_equals_the_published_tables():
    if not PAPER_TABLES.is_dir():
        pytest.skip("the paper's tables are not beside the checkout")
    with (PAPER_TABLES / "tables_5_to_8.csv").open() as file:
        published = {
            (
                int(line["experiment"]),
                NAMES_IN_PAPER[line["network"]],
                line["loss"],
                *(float(line[tau]) for tau in (keys.TAU_CE, keys.TAU_DICE, keys.TAU_BOUNDARY)),
            )
            for line in csv.DictReader(file)
        }
    with (PAPER_TABLES / "table_4.csv").open() as file:
        published |= {
            (int(line["experiment"]), NAMES_IN_PAPER[line["network"]], line["loss"], 1.0, 0.0, 0.0)
            for line in csv.DictReader(file)
        }
    assert {row(trial) for trial in load_grid("paper").trials} == published


def test_every_shipped_grid_and_search_loads_and_fits_every_budget():
    assert {"paper", "ce2_only", "published_boundary", "continuous_tau"} <= set(space_names())
    for name in space_names():
        grid = load_space(name)
        assert grid.name == name
        assert grid.description.endswith(".")
        assert all(grid.apply_to(budget) == budget for budget in BUDGETS.values())


def test_subsets_are_the_papers_own_trials():
    paper = load_grid("paper").trials
    assert load_grid("ce2_only").trials == tuple(t for t in paper if t.loss == "ce2")
    assert {trial.boundary for trial in paper} == {"balanced_bce"}
    assert load_grid("published_boundary").trials == tuple(
        dataclasses.replace(trial, boundary="mmseg_1_2_1")
        for trial in paper
        if "boundary" in trial.loss
    )


def test_shipped_grids_are_found_from_another_folder_and_place(tmp_path):
    shutil.copytree(Path(search_spaces.__file__).parent, tmp_path / "site" / "search_spaces")
    program = "import search_spaces as s; print(s.__file__, len(s.load_grid('paper').trials))"
    path = [str(tmp_path / "site"), str(Path(__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path}; {program}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    file, count = done.stdout.split()
    assert file.startswith(str(tmp_path))
    assert count == "55"


def test_a_users_grid_combines_networks_losses_and_ratios(write):
    grid = load_grid(
        write(
            """
            name: two by two
            description: Mine.
            defaults: {internal_weights: balanced, pretrained: true}
            experiments:
              - network: [fcn_unet, "smp:unet:resnet18"]
                loss: [ce2+dice, ce2+boundary]
                tau: [0.7:0.3, 0.6:0.4]
              - {experiment: 2, network: fcn_unet, loss: [ce1, ce2], internal_weights: [1, 3]}
              - {network: fcn_unet, loss: ce2, tau: "1", weights_in: all}
            """
        )
    )
    assert (grid.name, grid.description, len(grid.trials)) == ("two by two", "Mine.", 11)
    assert grid.trials[2] == TrialConfig(
        network="fcn_unet",
        loss="ce2+boundary",
        tau=LossWeights(ce=0.7, boundary=0.3),
        internal_weights="balanced",
        pretrained=True,
    )
    assert [trial.internal_weights for trial in grid.trials[8:]] == [(1, 3), (1, 3), "balanced"]
    assert [trial.experiment for trial in grid.trials[7:]] == [None, 2, 2, None]


def test_name_is_the_files_where_none_is_given(write):
    text = "{description: Mine., experiments: [{network: fcn_unet, loss: ce2}]}"
    assert load_grid(write(text, "quick.yml")).name == "quick"


def test_a_file_extends_one_beside_it(write):
    write(
        """
        description: Base.
        defaults: {boundary: signed_distance, weights_in: all}
        budget: {max_steps: 100, optimizer: {learning_rate: 1e-3, beta1: 0.8}}
        experiments:
          - {network: [fcn_unet, pspnet_r50c], loss: ce2}
          - {network: fcn_unet, loss: ce1, boundary: balanced_bce}
        """,
        "base.yaml",
    )
    grid = load_grid(
        write(
            """
            description: More.
            extends: base.yaml
            only: {network: fcn_unet}
            defaults: {boundary: mmseg_1_2_1}
            budget: {batch_size: 4, optimizer: {learning_rate: 2e-3}}
            experiments: [{network: segformer_b2, loss: ce2}]
            """
        )
    )
    # This file's defaults come before the base's, an experiment's own setting before both;
    # what the base alone sets is not handed to this file's experiments.
    assert [(trial.network, trial.boundary, trial.weights_in) for trial in grid.trials] == [
        ("fcn_unet", "mmseg_1_2_1", "all"),
        ("fcn_unet", "balanced_bce", "all"),
        ("segformer_b2", "mmseg_1_2_1", "ce"),
    ]
    budget = grid.apply_to(PREVIEW_BUDGET)
    assert (budget.max_steps, budget.batch_size) == (100, 4)
    assert (budget.optimizer.learning_rate, budget.optimizer.beta1) == (2e-3, 0.8)


def test_all_problems_of_a_file_are_listed_with_field_and_choices(write):
    found = problems(
        write(
            """
            description: Broken.
            nmae: x
            defaults: {boundary: kervadec, internal_weights: [1, -2], pretrained: 1}
            budget:
              name: mine
              max_steps: "64"
              optimizer: {lerning_rate: 1e-3}
              augmentation: {scale: [0.8]}
              stopping: {plateau_window: 1}
            experiments:
              - {network: [fcn_unet, unet], loss: ce2+dice}
              - {loss: ce3, tau: "0.5:0.5"}
              - {network: fcn_unet, loss: ce2+dice, tau: [0.9:0.1, 1:0:0, 0.5:0.6, "a:b", 1]}
              - {network: fcn_unet, loss: ce2, tau: 1:0:0, internal_weights: heavy}
              - {network: [], loss: ce2, experiment: one, losses: ce1}
              - 7
            """
        )
    )
    networks = ", ".join((*NETWORKS, "smp:<architecture>:<encoder>"))
    expected = [
        "budget.name: must be left out, it follows from the grid's name",
        "nmae: must be one of the fields name, description, extends, only, defaults, "
        "experiments, budget",
        "defaults.boundary: boundary must be one of balanced_bce, mmseg_1_2_1, signed_distance, "
        "got boundary=kervadec",
        "defaults.internal_weights: internal_weight_foreground must be a positive number, "
        "got internal_weight_foreground=-2.0",
        "defaults.pretrained: input should be a valid boolean, got 1",
        "budget.max_steps: input should be a valid integer, got '64'",
        "budget.optimizer.lerning_rate: must be one of the fields learning_rate, beta1, beta2, "
        "weight_decay, clip_norm",
        "budget.augmentation.scale[1]: must be given",
        "budget.stopping: plateau_window must be at least 2, got plateau_window=1",
        f"experiments[0].network[1]: network must be one of {networks}, got network=unet",
        "experiments[0].tau: must list ratios ce:dice for ce2+dice",
        "experiments[1].network: must be given",
        "experiments[1].loss[0]: loss must be one of ce1, ce2, ce2+dice, ce2+boundary, "
        "ce2+dice+boundary, got loss=ce3",
        "experiments[2].tau[1]: tau of ce2+dice must have the parts ce:dice, got tau=1:0:0",
        "experiments[2].tau[2]: loss weights must sum to 1, got 0.5:0.6:0, sum=1.1",
        "experiments[2].tau[3]: tau must be numbers joined by ':', got tau=a:b",
        "experiments[2].tau[4]: input should be a valid string, got 1",
        "experiments[3].tau[0]: tau of ce2 must have the parts ce, got tau=1:0:0",
        "experiments[3].internal_weights: internal_weights must be balanced or "
        "[background, foreground], got heavy",
        "experiments[4].experiment: input should be a valid integer, got 'one'",
        "experiments[4].losses: must be one of the fields boundary, internal_weights, "
        "weights_in, pretrained, experiment, network, loss, tau",
        "experiments[5]: input should be an object, got 7",
    ]
    assert set(expected) <= set(found)
    (empty,) = set(found) - set(expected)
    assert empty.startswith("experiments[4].network: ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a]", "file: input should be an object"),
        ("", "file: input should be an object, got None"),
        ("description: x", "experiments: must list at least one, where no grid is extended"),
        (
            "{description: x, extends: papr}",
            "extends: grid must be one of ce2_only, continuous_tau, paper, ",
        ),
        (
            "{description: x, extends: continuous_tau}",
            "extends: must name a grid, got the search continuous_tau",
        ),
        ("{description: x, extends: no.yaml}", "extends: grid file must exist, got path="),
        ("{description: x, extends: mine.yaml}", "extends: must not come back to the file itself"),
        (
            "{description: x, extends: ce2_only, only: {loss: ce1}}",
            "only: loss must be one of ce2 in grid ce2_only, got loss=ce1",
        ),
        (
            "{description: x, extends: paper, only: {los: ce1}}",
            "only.los: must be one of the fields network, loss",
        ),
        (
            "{description: x, only: {loss: ce1}, experiments: [{network: fcn_unet, loss: ce1}]}",
            "only: must come with extends, the grid to narrow",
        ),
        ("{description: x, extends: paper, budget: 3}", "budget: input should be an object, got 3"),
        (
            "{description: x, extends: paper, budget:}",
            "budget: input should be an object, got None",
        ),
        (
            "{description: x, extends: paper, experiments: [{network: fcn_unet, loss: ce2}]}",
            "experiments[0]: must differ from trial 2 of paper, both are fcn_unet ce2",
        ),
        (
            "{description: x, experiments: [{network: fcn_unet, loss: ce2+dice, "
            "tau: ['0.90:0.10', '0.9:0.1']}]}",
            "experiments[0].tau[1]: must differ from experiments[0].tau[0], "
            "both are fcn_unet ce2+dice 0.90:0.10",
        ),
        (
            "{description: x, experiments: [{experiment: 1, network: [fcn_unet, fcn_unet], "
            "loss: ce2}]}",
            "experiments[0]: must differ from experiments[0], both are fcn_unet ce2",
        ),
    ],
)
def test_a_single_problem_is_named(write, text, problem):
    (found,) = problems(write(text))
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("description: a\ndescription: b", "keys must be unique, got description twice.*line 2"),
        ("a: [", "valid YAML.*line 1"),
        ("a: !!python/name:os.system x", "could not determine a constructor"),
    ],
)
def test_what_is_no_yaml_is_named(write, text, message):
    with pytest.raises(ValueError, match=re.compile(f"mine.yaml must be.*{message}", re.DOTALL)):
        load_grid(write(text))


def test_an_unknown_grid_is_told_the_choices():
    with pytest.raises(
        ValueError, match=r"one of ce2_only, continuous_tau, paper, .* got grid=papr"
    ):
        load_grid("papr")
    with pytest.raises(ValueError, match=r"grid file must exist, got path=papr\.yaml"):
        load_grid("papr.yaml")


def test_narrowed_keeps_the_named_networks_and_losses():
    paper = load_grid("paper")
    assert paper.narrowed() == paper
    narrow = paper.narrowed(["segformer_b2", "fcn_unet"], ["ce2", "ce2+dice"])
    assert [trial.experiment for trial in narrow.trials] == [2, 3, 3, 3, 22, 23, 23, 23]


@given(st.sets(st.sampled_from(NETWORKS)), st.sets(st.sampled_from(["ce1", "ce2", "ce2+dice"])))
def test_narrowing_by_both_is_narrowing_by_one_after_the_other(networks, losses):
    paper = load_grid("ce2_only") if not losses else load_grid("paper")
    both = paper.narrowed(sorted(networks), sorted(losses))
    assert both == paper.narrowed(sorted(networks)).narrowed(losses=sorted(losses))
    assert set(both.trials) <= set(paper.trials)


def test_narrowing_to_what_is_not_there_is_an_error():
    with pytest.raises(ValueError, match=r"network must be one of fcn_unet, .* got network=unet"):
        load_grid("paper").narrowed(networks=["unet"])
    with pytest.raises(ValueError, match="loss must be one of ce2 in grid ce2_only, got loss=ce1"):
        load_grid("ce2_only").narrowed(losses=["ce1"])
    trials = (
        TrialConfig(network="fcn_unet", loss="ce1"),
        TrialConfig(network="pspnet_r50c", loss="ce2"),
    )
    with pytest.raises(ValueError, match="at least one trial of grid g must be left"):
        Grid(name="g", description="", trials=trials).narrowed(["fcn_unet"], ["ce2"])


def test_a_changed_budget_is_called_so():
    grid = dataclasses.replace(
        load_grid("paper"), budget={"width": 0.5, "augmentation": {"scale": [0.9, 1.1]}}
    )
    changed = grid.apply_to(PAPER_BUDGET)
    assert changed == dataclasses.replace(
        PAPER_BUDGET,
        name="paper+paper",
        width=0.5,
        augmentation=dataclasses.replace(PAPER_BUDGET.augmentation, scale=(0.9, 1.1)),
    )
    assert grid.apply_to(PREVIEW_BUDGET).max_steps == PREVIEW_BUDGET.max_steps


def test_continuous_tau_looks_at_the_whole_simplex_for_every_network():
    search = load_search("continuous_tau")
    assert search.space == SearchSpace(networks=NETWORKS)
    assert search.config == SearchConfig()
    assert load_space("continuous_tau") == search


def test_a_users_search_may_set_everything(write):
    search = load_search(
        write(
            """
            name: mine
            description: Mine.
            search:
              networks: [fcn_unet, "smp:unet:resnet18"]
              tau: {ce: [0.2, 1], boundary: 0.1}
              boundary: [balanced_bce, signed_distance]
              weights_in: [ce, all]
              internal_weights: [balanced, [1, 3]]
              learning_rate: {low: 1e-4, high: 1e-2}
              pretrained: true
              sampler: gp
              objectives: best/overlap
              startup_trials: 6
              seed: 3
            budget: {max_steps: 100}
            """
        )
    )
    assert search.space == SearchSpace(
        networks=("fcn_unet", "smp:unet:resnet18"),
        tau=TauRanges(ce=(0.2, 1), boundary=(0.1, 0.1)),
        boundary=("balanced_bce", "signed_distance"),
        weights_in=("ce", "all"),
        internal_weights=("balanced", (1, 3)),
        learning_rate=LogRange(low=1e-4, high=1e-2),
        pretrained=True,
    )
    assert search.config == SearchConfig(
        sampler="gp", objectives=("best/overlap",), startup_trials=6, seed=3
    )
    budget = search.apply_to(PREVIEW_BUDGET)
    assert (budget.name, budget.max_steps) == ("preview+mine", 100)


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("internal_weights: balanced", ("balanced",)),
        ("internal_weights: [1, 3]", ((1, 3),)),
        ("internal_weights: [[1, 1], [1, 3]]", ((1, 1), (1, 3))),
        ("internal_weights: {low: 0.5, high: 8}", LogRange(low=0.5, high=8)),
        ("learning_rate: null", None),
        ("learning_rate: 1e-3", (1e-3,)),
        ("learning_rate: [1e-3, 1e-2]", (1e-3, 1e-2)),
    ],
)
def test_a_setting_is_one_value_choices_or_a_range(write, setting, found):
    path = write(f"{{description: x, search: {{networks: fcn_unet, {setting}}}}}")
    assert getattr(load_search(path).space, setting.split(":")[0]) == found


def test_all_problems_of_a_search_are_listed_with_field_and_choices(write):
    found = problems(
        write(
            """
            description: Broken.
            trials: 30
            search:
              networks: [fcn_unet, unet]
              tau: {ce: [0.6, 1], dice: [0.5, 1]}
              boundary: [kervadec]
              weights_in: [ce, ce]
              internal_weights: [1, [1, 2]]
              learning_rate: {low: 1e-2, high: 1e-3}
              sampler: random
              objectives: [best/overlap, score]
              startup_trials: 0
              seed: -1
              loss: ce2
            budget: {name: mine, width: 0}
            """
        ),
        "search",
    )
    expected = [
        "budget.name: must be left out, it follows from the search's name",
        "trials: must be one of the fields name, description, search, budget",
        "search.tau: ranges of tau must hold a point of the simplex, where the parts sum to 1; "
        "the lows sum to more than 1, got ce=(0.6, 1.0), dice=(0.5, 1.0), boundary=(0.0, 1.0)",
        "search.boundary: boundary must be one of balanced_bce, mmseg_1_2_1, signed_distance, "
        "got boundary=kervadec",
        "search.weights_in: weights_in must be at least one choice and none twice, "
        "got weights_in=('ce', 'ce')",
        "search.internal_weights: internal_weights must be balanced or [background, foreground], "
        "got 1",
        "search.learning_rate: low must be below high, got low=0.01, high=0.001",
        "search.sampler: sampler must be one of tpe, gp, nsga2, quasi_random, got sampler=random",
        "search.objectives: objectives must be known when a trial ends; the study's rank score "
        "depends on the other trials and changes with each of them, got objective=score",
        "search.startup_trials: startup_trials must be a positive number, got startup_trials=0",
        "search.seed: seed must be at least 0, got seed=-1",
        "search.loss: must be one of the fields networks, tau, boundary, weights_in, "
        "internal_weights, learning_rate, pretrained, sampler, objectives, startup_trials, seed",
        "budget: width must be a positive number, got width=0.0",
    ]
    networks = ", ".join((*NETWORKS, "smp:<architecture>:<encoder>"))
    expected.append(
        f"search.networks[1]: network must be one of {networks}, got network=unet",
    )
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("{}", "search.networks: must be given"),
        ("3", "search: input should be an object, got 3"),
        ("{networks: fcn_unet, tau: {ce: high}}", "search.tau.ce: must be a number or [low, high]"),
        ("{networks: fcn_unet, tau: {ec: 1}}", "search.tau.ec: must be one of the fields ce, dice"),
        ("{networks: fcn_unet, learning_rate: [a]}", "search.learning_rate: learning_rate must be"),
        (
            "{networks: fcn_unet, internal_weights: 3}",
            "search.internal_weights: internal_weights m",
        ),
        ("{networks: fcn_unet, seed: 1.5}", "search.seed: input should be a valid integer"),
    ],
)
def test_a_single_problem_of_a_search_is_named(write, section, problem):
    (found,) = problems(write(f"{{description: x, search: {section}}}"), "search")
    assert found.startswith(problem)


def test_a_grid_is_no_search_and_a_search_no_grid():
    with pytest.raises(
        ValueError, match=r"continuous_tau must be a grid, got a search, .* --trials"
    ):
        load_grid("continuous_tau")
    with pytest.raises(ValueError, match="paper must be a search, got a grid of 55 trials"):
        load_search("paper")


def test_a_search_narrows_to_networks_alone():
    search = load_search("continuous_tau")
    assert search.narrowed() == search
    assert search.narrowed(["segformer_b2"]).space.networks == ("segformer_b2",)
    with pytest.raises(ValueError, match=r"network must be one of fcn_unet, .* got network=unet"):
        search.narrowed(["unet"])
    with pytest.raises(ValueError, match=r"loss must be left out in search continuous_tau, .* tau"):
        search.narrowed(losses=["ce2"])
