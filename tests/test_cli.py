from dataclasses import asdict
from pathlib import Path

import pytest

from tune_knee.cli import parse

NOTHING_SAID = {
    "grid": None,
    "data": None,
    "out": None,
    "budget": None,
    "tracking_uri": None,
    "max_concurrent": None,
    "gpus_per_trial": None,
    "address": None,
    "storage": None,
    "network": [],
    "loss": [],
    "pretrained": False,
    "seeds": None,
    "trials": None,
    "sampler": None,
    "objective": [],
    "warm_start": None,
    "pruner": None,
    "refine": None,
    "top": None,
    "resume": False,
    "retry_failed": False,
    "dry_run": False,
    "json": False,
}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", {}),
        ("--grid paper", {"grid": "paper"}),
        ("--data knees --out out/x", {"data": Path("knees"), "out": Path("out/x")}),
        ("--budget auto", {"budget": "auto"}),
        ("--budget paper", {"budget": "paper"}),
        ("--tracking-uri http://mlflow:5000", {"tracking_uri": "http://mlflow:5000"}),
        ("--network fcn_unet --network pspnet_r50c", {"network": ["fcn_unet", "pspnet_r50c"]}),
        ("--loss ce1 --loss ce2", {"loss": ["ce1", "ce2"]}),
        ("--max-concurrent 3", {"max_concurrent": 3}),
        ("--gpus-per-trial 0.25", {"gpus_per_trial": 0.25}),
        ("--gpus-per-trial auto", {"gpus_per_trial": "auto"}),
        ("--address auto", {"address": "auto"}),
        ("--storage s3://knees/a", {"storage": "s3://knees/a"}),
        ("--gpus-per-trial 0", {"gpus_per_trial": 0.0}),
        ("--gpus-per-trial 1", {"gpus_per_trial": 1.0}),
        ("--trials 30 --sampler gp --seeds 3", {"trials": 30, "sampler": "gp", "seeds": 3}),
        ("--objective best/overlap", {"objective": ["best/overlap"]}),
        ("--warm-start out/paper --pruner asha", {"warm_start": "out/paper", "pruner": "asha"}),
        ("--refine out/tau --top 3", {"refine": "out/tau", "top": 3}),
        ("--resume --retry-failed", {"resume": True, "retry_failed": True}),
        ("--dry-run --json", {"dry_run": True, "json": True}),
    ],
)
def test_what_is_said_is_read(line, said):
    assert asdict(parse(line.split())) == {**NOTHING_SAID, **said}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("--json", "--json must come with --dry-run"),
        ("--retry-failed", "--retry-failed must come with --resume"),
        ("--resume --network fcn_unet", "as it is; leave --network out"),
        ("--resume --pretrained", "as it is; leave --pretrained out"),
        ("--resume --loss ce1", "as it is; leave --loss out"),
        ("--resume --trials 3", "as it is; leave --trials out"),
        ("--resume --warm-start out/paper", "as it is; leave --warm-start out"),
        ("--resume --top 3 --refine out/tau", "as it is; leave --refine out"),
        ("--refine out/tau", "--refine and --top must come together"),
        ("--top 3", "--refine and --top must come together"),
        ("--refine out/tau --top 3 --trials 9", "from the search; leave --trials out"),
        ("--refine out/tau --top 3 --loss ce1", "from the search; leave --loss out"),
        ("--refine out/tau --top 3 --pretrained", "from the search; leave --pretrained out"),
        ("--refine out/tau --top 3 --pruner asha", "from the search; leave --pruner out"),
        ("--refine out/tau --top 0", "must be a whole number of at least 1, got 0"),
        ("--trials 0", "must be a whole number of at least 1, got 0"),
        ("--sampler grid", "invalid choice: 'grid'"),
        ("--objective score", "invalid choice: 'score'"),
        ("--pruner median", "invalid choice: 'median'"),
        ("--resume --dry-run", "--dry-run looks at a new study; leave --resume out"),
        ("--budget huge", "invalid choice: 'huge'"),
        ("--max-concurrent 0", "must be a whole number of at least 1, got 0"),
        ("--max-concurrent -1", "must be a whole number of at least 1, got -1"),
        ("--max-concurrent 1.5", "must be a whole number of at least 1, got 1.5"),
        ("--gpus-per-trial 1.5", "must be a share in [0, 1] or auto, got 1.5"),
        ("--gpus-per-trial -1", "must be a share in [0, 1] or auto, got -1"),
        ("--gpus-per-trial nan", "must be a share in [0, 1] or auto, got nan"),
        ("--gpus-per-trial half", "must be a share in [0, 1] or auto, got half"),
        ("--gpus 1", "unrecognized arguments: --gpus 1"),  # no abbreviations
        ("paper", "unrecognized arguments: paper"),
    ],
)
def test_what_makes_no_sense_ends_with_one_line(line, problem, capsys):
    with pytest.raises(SystemExit) as end:
        parse(line.split())
    assert end.value.code == 2
    assert problem in capsys.readouterr().err.splitlines()[-1]


def test_the_help_names_every_option_and_an_example(capsys):
    with pytest.raises(SystemExit) as end:
        parse(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    for name in NOTHING_SAID:
        assert f"--{name.replace('_', '-')}" in shown
    assert "python -m tune_knee.run --grid paper --dry-run" in shown
